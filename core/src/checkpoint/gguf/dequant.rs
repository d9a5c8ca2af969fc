//! ggml's element types, and how blocks of them become floats (formulas after ggml's `ggml-quants.c`).

use half::{bf16, f16};

use super::super::{CheckpointError, HostData};

/// Elements per block of the `K` types.
const SUPER: usize = 256;
/// Elements per block of the older types.
const BLOCK: usize = 32;

/// How a tensor's elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// 32 × 4 bits, one scale, centred on 8.
    Q4_0,
    /// 32 × 4 bits, scale and minimum.
    Q4_1,
    /// 32 × 5 bits, one scale, centred on 16.
    Q5_0,
    /// 32 × 5 bits, scale and minimum.
    Q5_1,
    /// 32 × 8 bits, one scale.
    Q8_0,
    /// 256 × 2 bits in sixteen groups with 4-bit scales and minima.
    Q2K,
    /// 256 × 3 bits in sixteen groups with 6-bit scales.
    Q3K,
    /// 256 × 4 bits in eight groups with 6-bit scales and minima.
    Q4K,
    /// 256 × 5 bits in eight groups with 6-bit scales and minima.
    Q5K,
    /// 256 × 6 bits in sixteen groups with 8-bit scales.
    Q6K,
    /// 32 × 4 bits that say which of sixteen uneven steps, one scale.
    IQ4NL,
    /// 256 × 4 bits as [`IQ4NL`](Self::IQ4NL), in eight groups with 6-bit scales.
    IQ4XS,
}

/// ggml's names by type identifier, for the message about a type that isn't read.
const NAMES: [&str; 31] = [
    "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K",
    "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
    "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16",
];

impl Kind {
    pub(super) fn from_id(tensor: &str, id: u32) -> Result<Self, CheckpointError> {
        Ok(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2K,
            11 => Self::Q3K,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            20 => Self::IQ4NL,
            23 => Self::IQ4XS,
            30 => Self::BF16,
            _ => {
                let dtype = NAMES
                    .get(id as usize)
                    .map_or_else(|| format!("ggml type {id}"), |&n| n.to_owned());
                let known = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS";
                return Err(CheckpointError::Dtype {
                    name: tensor.to_owned(),
                    dtype,
                    known,
                });
            }
        })
    }

    /// Elements per block and bytes per block.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (BLOCK, 2 + BLOCK / 2),
            Self::Q4_1 => (BLOCK, 4 + BLOCK / 2),
            Self::Q5_0 => (BLOCK, 2 + 4 + BLOCK / 2),
            Self::Q5_1 => (BLOCK, 4 + 4 + BLOCK / 2),
            Self::Q8_0 => (BLOCK, 2 + BLOCK),
            Self::Q2K => (SUPER, 16 + SUPER / 4 + 4),
            Self::Q3K => (SUPER, SUPER / 8 + SUPER / 4 + 12 + 2),
            Self::Q4K => (SUPER, 4 + 12 + SUPER / 2),
            Self::Q5K => (SUPER, 4 + 12 + SUPER / 8 + SUPER / 2),
            Self::Q6K => (SUPER, SUPER / 2 + SUPER / 4 + 16 + 2),
            Self::IQ4NL => (BLOCK, 2 + BLOCK / 2),
            Self::IQ4XS => (SUPER, 2 + 2 + 4 + SUPER / 2),
        }
    }

    /// Bytes that a tensor of this shape takes, or why it can't exist.
    pub(super) fn bytes(self, shape: &[usize]) -> Result<u64, String> {
        let (elements, bytes) = self.block();
        let row = shape.last().copied().unwrap_or(1);
        if row % elements != 0 {
            return Err(format!(
                "rows of {row} elements can't be stored in blocks of {elements}"
            ));
        }
        shape
            .iter()
            .try_fold(1u64, |product, &extent| product.checked_mul(extent as u64))
            .and_then(|count| (count / elements as u64).checked_mul(bytes as u64))
            .ok_or_else(|| format!("the shape {shape:?} has more elements than can be counted"))
    }
}

/// Decodes whole blocks, keeping the types that the rest of the code knows.
pub(super) fn decode(kind: Kind, bytes: &[u8]) -> HostData {
    match kind {
        Kind::F16 => HostData::F16(halves(bytes).map(f16::from_bits).collect()),
        Kind::BF16 => HostData::BF16(halves(bytes).map(bf16::from_bits).collect()),
        _ => {
            let mut out = Vec::with_capacity(count(kind, bytes));
            blocks(kind, bytes, |values| out.extend_from_slice(values));
            HostData::F32(out)
        }
    }
}

/// Decodes whole blocks to half precision.
pub(super) fn decode_f16(kind: Kind, bytes: &[u8]) -> Vec<f16> {
    if kind == Kind::F16 {
        return halves(bytes).map(f16::from_bits).collect();
    }
    let mut out = Vec::with_capacity(count(kind, bytes));
    blocks(kind, bytes, |values| {
        out.extend(values.iter().map(|&v| f16::from_f32(v)))
    });
    out
}

fn count(kind: Kind, bytes: &[u8]) -> usize {
    let (elements, size) = kind.block();
    bytes.len() / size * elements
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes
        .chunks_exact(2)
        .map(|b| u16::from_le_bytes([b[0], b[1]]))
}

/// Calls `emit` with the values of each block in turn.
fn blocks(kind: Kind, bytes: &[u8], mut emit: impl FnMut(&[f32])) {
    let (elements, size) = kind.block();
    let decode: fn(&[u8], &mut [f32]) = match kind {
        Kind::F32 => |b, out| out[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        Kind::F16 => |b, out| out[0] = half(b, 0),
        Kind::BF16 => |b, out| out[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
        Kind::Q4_0 => q4_0,
        Kind::Q4_1 => q4_1,
        Kind::Q5_0 => q5_0,
        Kind::Q5_1 => q5_1,
        Kind::Q8_0 => q8_0,
        Kind::Q2K => q2_k,
        Kind::Q3K => q3_k,
        Kind::Q4K => q4_k,
        Kind::Q5K => q5_k,
        Kind::Q6K => q6_k,
        Kind::IQ4NL => iq4_nl,
        Kind::IQ4XS => iq4_xs,
    };
    let mut values = [0.0; SUPER];
    for block in bytes.chunks_exact(size) {
        decode(block, &mut values[..elements]);
        emit(&values[..elements]);
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Low nibbles are the first half of a block, high nibbles the second.
fn nibbles(packed: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let half = packed.len();
    packed
        .iter()
        .enumerate()
        .flat_map(move |(i, &b)| [(i, b & 15), (i + half, b >> 4)])
}

/// As [`nibbles`], with a fifth bit for each from the little-endian word `high`.
fn fives<'a>(packed: &'a [u8], high: &[u8]) -> impl Iterator<Item = (usize, u8)> + 'a {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    nibbles(packed).map(move |(i, q)| (i, q | (((high >> i) & 1) as u8) << 4))
}

fn q4_0(b: &[u8], out: &mut [f32]) {
    let d = half(b, 0);
    nibbles(&b[2..]).for_each(|(i, q)| out[i] = d * (f32::from(q) - 8.0));
}

fn q4_1(b: &[u8], out: &mut [f32]) {
    let (d, m) = (half(b, 0), half(b, 2));
    nibbles(&b[4..]).for_each(|(i, q)| out[i] = d * f32::from(q) + m);
}

fn q5_0(b: &[u8], out: &mut [f32]) {
    let d = half(b, 0);
    fives(&b[6..], &b[2..6]).for_each(|(i, q)| out[i] = d * (f32::from(q) - 16.0));
}

fn q5_1(b: &[u8], out: &mut [f32]) {
    let (d, m) = (half(b, 0), half(b, 2));
    fives(&b[8..], &b[4..8]).for_each(|(i, q)| out[i] = d * f32::from(q) + m);
}

fn q8_0(b: &[u8], out: &mut [f32]) {
    let d = half(b, 0);
    out.iter_mut()
        .zip(&b[2..])
        .for_each(|(o, &q)| *o = d * f32::from(q as i8));
}

/// Where the value `i` of a block of two-bit numbers lies: two halves of 128 values, each in four runs of 32.
fn two_bits(packed: &[u8], i: usize) -> u8 {
    let (side, run, lane) = (i / 128, i % 128 / 32, i % 32);
    packed[32 * side + lane] >> (2 * run) & 3
}

/// A byte for each group of 16: its scale below, its minimum above.
fn q2_k(b: &[u8], out: &mut [f32]) {
    let (scales, packed, d, dmin) = (&b[..16], &b[16..80], half(b, 80), half(b, 82));
    for (i, value) in out.iter_mut().enumerate() {
        let group = scales[i / 16];
        let (scale, min) = (d * f32::from(group & 15), dmin * f32::from(group >> 4));
        *value = scale * f32::from(two_bits(packed, i)) - min;
    }
}

/// Low two bits from `packed`; where the third is not set, the value is less by 4.
fn q3_k(b: &[u8], out: &mut [f32]) {
    let (third, packed, scales, d) = (&b[..32], &b[32..96], &b[96..108], half(b, 108));
    for (i, value) in out.iter_mut().enumerate() {
        let less = match third[i % 32] >> (i / 32) & 1 {
            0 => 4.0,
            _ => 0.0,
        };
        let scale = d * (f32::from(six_bits(scales, i / 16)) - 32.0);
        *value = scale * (f32::from(two_bits(packed, i)) - less);
    }
}

/// Sixteen 6-bit scales in twelve bytes: low nibbles in eight of them, high two bits in the other four.
fn six_bits(packed: &[u8], group: usize) -> u8 {
    let low = packed[group % 8] >> (4 * (group / 8)) & 15;
    let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
    low | high << 4
}

/// Eight groups of 32; pairs of groups share their bytes, low nibbles first.
fn q4_k(b: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half(b, 0), half(b, 2));
    let (scales, packed) = (&b[4..16], &b[16..]);
    for (group, values) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_min(scales, group);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        let bytes = &packed[group / 2 * 32..][..32];
        let shift = 4 * (group % 2);
        values
            .iter_mut()
            .zip(bytes)
            .for_each(|(v, &q)| *v = scale * f32::from((q >> shift) & 15) - min);
    }
}

/// As [`q4_k`], with a fifth bit for each: a bit of `high` for each group.
fn q5_k(b: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half(b, 0), half(b, 2));
    let (scales, high, packed) = (&b[4..16], &b[16..48], &b[48..]);
    for (i, value) in out.iter_mut().enumerate() {
        let (group, lane) = (i / 32, i % 32);
        let (scale, min) = scale_min(scales, group);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        let low = packed[group / 2 * 32 + lane] >> (4 * (group % 2)) & 15;
        let fifth = high[lane] >> group & 1;
        *value = scale * f32::from(low | fifth << 4) - min;
    }
}

/// Eight 6-bit scales and eight 6-bit minima in twelve bytes: the first four of each keep their low six
/// bits together, the others' upper two bits sit on top of those.
fn scale_min(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (packed[group] & 63, packed[group + 4] & 63);
    }
    let low = packed[group + 4];
    (
        low & 15 | packed[group - 4] >> 6 << 4,
        low >> 4 | packed[group] >> 6 << 4,
    )
}

/// Two halves of 128 values, each in four runs of 32: low four bits from `ql`, high two from `qh`.
fn q6_k(b: &[u8], out: &mut [f32]) {
    let (ql, qh, scales, d) = (&b[..128], &b[128..192], &b[192..208], half(b, 208));
    for (i, value) in out.iter_mut().enumerate() {
        let (side, run, lane) = (i / 128, i % 128 / 32, i % 32);
        let low = ql[64 * side + 32 * (run % 2) + lane] >> (4 * (run / 2)) & 15;
        let high = qh[32 * side + lane] >> (2 * run) & 3;
        let q = f32::from(low | high << 4) - 32.0;
        *value = d * f32::from(scales[i / 16] as i8) * q;
    }
}

/// The steps that four bits choose from: close together near zero, where most weights are.
const STEPS: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];

fn iq4_nl(b: &[u8], out: &mut [f32]) {
    let d = half(b, 0);
    nibbles(&b[2..]).for_each(|(i, q)| out[i] = d * STEPS[usize::from(q)]);
}

/// Eight groups of 32; of each group's scale four bits are in `low`, two in `high`.
fn iq4_xs(b: &[u8], out: &mut [f32]) {
    let (d, high) = (half(b, 0), u16::from_le_bytes([b[2], b[3]]));
    let (low, packed) = (&b[4..8], &b[8..]);
    for (group, values) in out.chunks_exact_mut(32).enumerate() {
        let low = low[group / 2] >> (4 * (group % 2)) & 15;
        let high = (high >> (2 * group) & 3) as u8;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        let bytes = &packed[16 * group..][..16];
        nibbles(bytes).for_each(|(i, q)| values[i] = scale * STEPS[usize::from(q)]);
    }
}
