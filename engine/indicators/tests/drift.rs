//! Long streams: what a window says must not depend on what went before it.

use tercel_indicators::Indicator;

/// After four million values, each windowed indicator equals one that saw the window alone.
#[test]
fn windows_forget_what_left_them() {
    let names = ["sma", "wma", "stddev", "bollinger", "highest", "lowest", "roc"];
    let mut long: Vec<_> = names.map(|name| Indicator::build(name, &[20.0]).unwrap()).into();
    let mut last = Vec::new();
    let mut state = 1u64;
    let n = 4_000_000;
    for step in 0..n {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = u32::try_from(state >> 48).unwrap();
        // Prices of very different size take turns, which is what makes sums drift.
        let base = if step % 2_000 < 1_000 { 60_000.0 } else { 0.5 };
        let price = base + f64::from(noise) * 1e-5;
        for indicator in &mut long {
            indicator.update_price(price);
        }
        if step >= n - 60 {
            last.push(price);
        }
    }
    for (name, long) in names.iter().zip(&long) {
        let mut fresh = Indicator::build(name, &[20.0]).unwrap();
        last.iter().for_each(|price| {
            fresh.update_price(*price);
        });
        let (ours, exact) = (long.output(0).unwrap(), fresh.output(0).unwrap());
        assert!((ours - exact).abs() <= 1e-9 * exact.abs().max(1.0), "{name}: {ours} {exact}");
    }
}
