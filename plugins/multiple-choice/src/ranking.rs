//! Which choice the model would take.

use crate::Accuracy;

/// Index of the choice that an accuracy takes.
#[expect(clippy::cast_precision_loss, reason = "no choice has 2^52 characters")]
pub(crate) fn choose(accuracy: Accuracy, sums: &[f64], choices: &[String]) -> usize {
    let length = |choice: &String| match accuracy {
        Accuracy::Acc => 1,
        Accuracy::AccNorm => choice.chars().count(),
        Accuracy::AccBytes => choice.len(),
    };
    // An empty choice divides by zero and is never taken, as in the reference.
    first_maximum(sums.iter().zip(choices).map(|(sum, choice)| sum / length(choice) as f64))
}

/// Index of the greatest value, the first of equal ones; 0 of none.
pub(crate) fn first_maximum(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(first_maximum([-2.0, -1.0, -1.0].into_iter()), 1);
        assert_eq!(first_maximum([f64::NEG_INFINITY; 2].into_iter()), 0);
    }

    #[test]
    fn length_is_counted_in_characters_or_bytes_of_the_choice_alone() {
        let choices = ["ééé".to_owned(), "abcd".into()];
        let sums = [-3.3, -4.0];
        assert_eq!(choose(Accuracy::Acc, &sums, &choices), 0);
        assert_eq!(choose(Accuracy::AccNorm, &sums, &choices), 1);
        assert_eq!(choose(Accuracy::AccBytes, &sums, &choices), 0);
    }
}
