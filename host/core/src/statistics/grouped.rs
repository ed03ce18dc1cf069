//! One number for several benchmarks that make a group, such as the subjects of a knowledge test.

/// A metric of one member of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupMember {
    pub value: f64,
    /// Standard error; none where the member has none.
    pub stderr: Option<f64>,
    /// Samples of the member.
    pub count: u64,
}

/// A metric of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupedMetric {
    /// The members' values, weighted by their samples: Σ n·v / Σ n.
    pub value: f64,
    /// √(Σ (n − 1)·se²·n / (Σ n − k) / Σ n), with k members; none where a member has none.
    pub stderr: Option<f64>,
    /// Samples of all members.
    pub count: u64,
}

impl GroupedMetric {
    /// Value and standard error as lm-evaluation-harness 0.4.13 computes them for a group that is weighted by size
    /// (`aggregate_subtask_metrics`, `pooled_sample_stderr`). None without a sample.
    pub fn of(members: &[GroupMember]) -> Option<Self> {
        let count: u64 = members.iter().map(|member| member.count).sum();
        if count == 0 {
            return None;
        }
        let samples = count as f64;
        let sum: f64 = members.iter().map(|member| member.value * member.count as f64).sum();
        Some(Self { value: sum / samples, stderr: pooled_standard_error(members, samples), count })
    }
}

fn pooled_standard_error(members: &[GroupMember], samples: f64) -> Option<f64> {
    let mut squares = 0.0;
    for member in members {
        let count = member.count as f64;
        squares += (count - 1.0) * member.stderr?.powi(2) * count;
    }
    let freedom = samples - members.len() as f64;
    (freedom > 0.0).then(|| (squares / freedom / samples).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_a_standard_error_leaves_the_group_without_one() {
        let known = GroupMember { value: 0.5, stderr: Some(0.1), count: 30 };
        let unknown = GroupMember { value: 1.0, stderr: None, count: 10 };
        let group = GroupedMetric::of(&[known, unknown]).unwrap();
        assert_eq!((group.value, group.stderr, group.count), (0.625, None, 40));
        assert_eq!(GroupedMetric::of(&[]), None);
    }
}
