//! x
use paf_kernels::*;
use std::time::Instant;
fn best(mut f: impl FnMut()) -> f64 {
    f();
    let mut m = f64::MAX;
    for _ in 0..60 { let t = Instant::now(); f(); m = m.min(t.elapsed().as_secs_f64()); }
    m * 1e9
}
fn main() {
    let n = 1usize << std::env::args().nth(2).map_or(16, |x| x.parse::<u32>().unwrap());
    let only: Option<String> = std::env::args().nth(1);
    let rnd = |q: u64, s: u64| -> Vec<u64> { let mut x = s | 1; (0..n).map(|_| { x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); (x ^ (x >> 29)) % q }).collect() };
    for v in Variant::available() {
        if only.as_ref().is_some_and(|o| *o != v.to_string()) { continue; }
        let k = Kernels::new(v).unwrap();
        for bits in [50u32, 60] {
            let q = Modulus::new(ntt_prime(bits, n, 1));
            let p = Modulus::new(ntt_prime(45, n, 1));
            let (a, b, mut c) = (rnd(q.value(), 1), rnd(q.value(), 2), rnd(q.value(), 3));
            let mut d = c.clone();
            let e = |ns: f64| ns / n as f64;
            println!("{v} {bits}: add_assign {:.3} mul {:.3} mul_assign {:.3} mac {:.3} mul_scalar_assign {:.3} sub_mul_scalar {:.3} switch {:.3} switch_mul {:.3}",
                e(best(|| k.add_assign(&mut c, &a, q))), e(best(|| k.mul(&mut c, &a, &b, q))), e(best(|| k.mul_assign(&mut c, &a, q))), e(best(|| k.multiply_accumulate(&mut c, &a, &b, q))),
                e(best(|| k.mul_scalar_assign(&mut c, 12345678901234567, q))), e(best(|| k.sub_mul_scalar(&mut c, &a, &b, 12345678901234567, q))),
                e(best(|| k.switch_modulus(&mut c, &a, q, p))), e(best(|| k.switch_modulus_mul_scalar(&mut c, &a, 12345678, q, p))));
            c.copy_from_slice(&a);
            // in L1
            let (a1, b1) = (&a[..1024], &b[..1024]);
            let mut c1 = a1.to_vec();
            let e1 = |ns: f64| ns / 65536.0;
            println!("   L1: mul {:.3} mac {:.3} mul_scalar {:.3} add {:.3}", e1(best(|| for _ in 0..64 { k.mul(&mut c1, a1, b1, q) })), e1(best(|| for _ in 0..64 { k.multiply_accumulate(&mut c1, a1, b1, q) })), e1(best(|| for _ in 0..64 { k.mul_scalar(&mut c1, a1, 1234567890123, q) })), e1(best(|| for _ in 0..64 { k.add(&mut c1, a1, b1, q) })));
            for t in [3usize, 8] {
                let limbs: Vec<[Vec<u64>; 3]> = (0..t as u64).map(|i| [rnd(q.value(), i), rnd(q.value(), i + 50), rnd(q.value(), i + 90)]).collect();
                let s: Vec<(&[u64], &[u64])> = limbs.iter().map(|l| (&l[0][..], &l[1][..])).collect();
                let pr: Vec<(&[u64], &[u64], &[u64])> = limbs.iter().map(|l| (&l[0][..], &l[1][..], &l[2][..])).collect();
                let x1 = e(best(|| k.sum_of_products(&mut c, &s, q)));
                let x2 = e(best(|| k.sum_of_products_pair(&mut c, &mut d, &pr, q)));
                println!("   {t} terms: sum {:.3} ({:.3}/term) pair {:.3} ({:.3}/product)", x1, x1 / t as f64, x2, x2 / t as f64 / 2.0);
            }
            let log = n.trailing_zeros();
            let idx: Vec<u32> = (0..n).map(|i| { let r = |i: usize| i.reverse_bits() >> (64 - log); let pw = (2 * r(i) + 1) * 5 % (2 << log); r(pw / 2) as u32 }).collect();
            println!("   permute {:.3}", e(best(|| k.permute(&mut c, &a, &idx))));
        }
        for (ns, sb, nt, tb) in [(24, 50, 8, 60), (24, 50, 8, 50), (24, 60, 8, 60), (8, 50, 24, 60), (8, 50, 24, 50), (8, 60, 24, 50), (8, 60, 24, 60)] {
            let s: Vec<Modulus> = (0..ns).map(|i| Modulus::new(ntt_prime(sb, n, i))).collect();
            let t: Vec<Modulus> = (0..nt).map(|i| Modulus::new(ntt_prime(tb, n, i + 30))).collect();
            let inp: Vec<Vec<u64>> = s.iter().enumerate().map(|(i, q)| rnd(q.value(), i as u64)).collect();
            let mut out: Vec<Vec<u64>> = t.iter().map(|_| vec![1; n]).collect();
            let hi: Vec<u64> = s.iter().map(|q| q.value() / 3).collect();
            let hm: Vec<Vec<u64>> = s.iter().enumerate().map(|(i, _)| t.iter().map(|p| p.value() / (i as u64 + 2)).collect()).collect();
            let hm: Vec<&[u64]> = hm.iter().map(|x| &x[..]).collect();
            let inr: Vec<&[u64]> = inp.iter().map(|x| &x[..]).collect();
            let mut outr: Vec<&mut [u64]> = out.iter_mut().map(|x| &mut x[..]).collect();
            let m = best(|| k.base_convert(&mut outr, &inr, &s, &t, &hi, &hm));
            // yardstick: stock algorithm
            let mut yard = f64::MAX;
            let pre: Vec<u64> = s.iter().zip(&hi).map(|(q, &h)| q.shoup(h)).collect();
            for _ in 0..3 {
                let t0 = Instant::now();
                let mut sum = vec![0u128; nt];
                for r in 0..n {
                    sum.fill(0);
                    for i in 0..ns {
                        let x = inr[i][r]; let q = s[i].value();
                        let e = ((x as u128 * pre[i] as u128) >> 64) as u64;
                        let mut y = x.wrapping_mul(hi[i]).wrapping_sub(e.wrapping_mul(q)); if y >= q { y -= q; }
                        for j in 0..nt { sum[j] += y as u128 * hm[i][j] as u128; }
                    }
                    for j in 0..nt { outr[j][r] = barrett(sum[j], t[j].value(), t[j].ratio()); }
                }
                yard = yard.min(t0.elapsed().as_secs_f64() * 1e9);
            }
            println!("{v} convert {ns}x{sb} -> {nt}x{tb}: {:.2} ms, {:.3} ns/product  yardstick {:.2} ms", m / 1e6, m / (n * ns * nt) as f64, yard / 1e6);
        }
    }
}
fn barrett(a: u128, m: u64, mu: u128) -> u64 {
    let (al, ah, ml, mh) = (a as u64 as u128, a >> 64, mu as u64 as u128, mu >> 64);
    let c = (al * ml) >> 64;
    let m1 = al * mh; let m2 = ah * ml;
    let mid = c + (m1 as u64 as u128) + (m2 as u64 as u128);
    let qh = (ah as u64).wrapping_mul(mh as u64).wrapping_add((m1 >> 64) as u64).wrapping_add((m2 >> 64) as u64).wrapping_add((mid >> 64) as u64);
    let mut r = (a as u64).wrapping_sub(qh.wrapping_mul(m));
    while r >= m { r -= m; }
    r
}
