//! The few-shot rows that were drawn for benchmarks: up to millions of small numbers each.

use llm_bench_core::benchmark::FewShotDraws;
use llm_bench_core::id::BenchmarkId;
use llm_bench_core::{Error, Result};
use sqlx::{Sqlite, Transaction};

use crate::Storage;
use crate::column::Id;
use crate::error::database_error;

pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    id: BenchmarkId,
    draws: &FewShotDraws,
) -> Result<()> {
    const INSERT: &str = "INSERT INTO few_shot_draws (benchmark_id, count, rows) VALUES (?, ?, ?)";
    sqlx::query(INSERT)
        .bind(Id(id.0))
        .bind(draws.count)
        .bind(encode(&draws.rows))
        .execute(&mut **transaction)
        .await
        .map_err(database_error)?;
    Ok(())
}

pub(super) async fn find(storage: &Storage, id: BenchmarkId) -> Result<Option<FewShotDraws>> {
    const SELECT: &str = "SELECT count, rows FROM few_shot_draws WHERE benchmark_id = ?";
    let row: Option<(u32, Vec<u8>)> = sqlx::query_as(SELECT)
        .bind(Id(id.0))
        .fetch_optional(&storage.readers)
        .await
        .map_err(database_error)?;
    let Some((count, bytes)) = row else { return Ok(None) };
    let rows = decode(&bytes).ok_or_else(|| {
        Error::internal("storage-unreadable", format!("the few-shot draws of benchmark {id} cannot be read"))
    })?;
    Ok(Some(FewShotDraws { count, rows }))
}

/// LEB128: seven bits a byte, the lowest first, the highest bit set where another byte follows.
fn encode(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() * 2);
    for number in numbers {
        let mut rest = *number;
        while rest > 0x7f {
            bytes.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        bytes.push(low_bits(rest));
    }
    bytes
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

/// None for bytes that `encode` does not write.
fn decode(bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0_u64, 0);
    for byte in bytes {
        let bits = u64::from(byte & 0x7f);
        // What is shifted out of the number comes back as something else.
        let shifted = bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        number |= shifted;
        shift += 7;
        if byte & 0x80 == 0 {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let numbers = [0, 1, 127, 128, 10_041, 1 << 32, u64::MAX - 1, u64::MAX, 5];
        let bytes = encode(&numbers);
        assert_eq!(decode(&bytes).as_deref(), Some(&numbers[..]));
        assert_eq!(encode(&[10_041]).len(), 2);
    }

    #[test]
    fn bytes_of_something_else_are_noticed() {
        assert_eq!(decode(&[0x80]), None);
        assert_eq!(decode(&[0xff; 11]), None);
    }
}
