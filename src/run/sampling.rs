//! Which token comes next: the likeliest, or one drawn from what is left after temperature, top-k and top-p.

use ndarray::ArrayView1;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, Result};

/// How tokens are drawn, as Hugging Face's `generate` defines it: the logits are divided by the temperature, then only the
/// `top_k` likeliest tokens are kept, then the likeliest of these up to a probability of `top_p` together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; above 0.
    pub temperature: f32,
    /// Keep so many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens until they have this probability, above 0 and at most 1.
    pub top_p: Option<f32>,
    /// Seeds the draws. Each prompt has its own, by its place among the prompts, so that batches do not change them.
    pub seed: u64,
}

impl Sampling {
    /// Refuses values that mean nothing.
    ///
    /// # Errors
    /// Usage: a temperature that is not above 0, a `top_k` of 0, a `top_p` outside (0, 1].
    pub fn check(&self) -> Result<()> {
        let wrong = |found: String, expected: &str| {
            Err(Fault::usage("sampling from the model", found).expected(expected))
        };
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return wrong(
                format!("the temperature {}", self.temperature),
                "a finite number above 0; without one the likeliest token is taken",
            );
        }
        if self.top_k == Some(0) {
            return wrong("top-k 0".into(), "at least 1");
        }
        match self.top_p {
            Some(p) if !(p > 0.0 && p <= 1.0) => {
                wrong(format!("top-p {p}"), "a number above 0 and at most 1")
            }
            _ => Ok(()),
        }
    }
}

/// Chooses the tokens of one prompt.
pub(super) struct Chooser {
    drawn: Option<(Sampling, ChaCha8Rng)>,
}

impl Chooser {
    /// For the prompt of that index; without a sampling it always takes the likeliest token.
    pub fn new(sampling: Option<Sampling>, prompt: usize) -> Self {
        let drawn = sampling.map(|sampling| {
            let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
            random.set_stream(prompt as u64);
            (sampling, random)
        });
        Self { drawn }
    }

    /// The next token from its logits `[vocab]`.
    pub fn choose(&mut self, logits: &ArrayView1<'_, f32>) -> i64 {
        match &mut self.drawn {
            None => likeliest(logits),
            Some((sampling, random)) => draw(logits, sampling, random.random()),
        }
    }
}

/// The token with the largest logit; of equals the lowest id.
pub(super) fn likeliest(logits: &ArrayView1<'_, f32>) -> i64 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in (0..).zip(logits) {
        if *logit > best.1 {
            best = (token, *logit);
        }
    }
    best.0
}

/// The token at which the summed probabilities, the likeliest first, pass `at` in [0, 1).
fn draw(logits: &ArrayView1<'_, f32>, sampling: &Sampling, at: f64) -> i64 {
    let mut kept: Vec<(i64, f64)> = (0..)
        .zip(logits)
        .map(|(token, logit)| (token, f64::from(*logit) / f64::from(sampling.temperature)))
        .collect();
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if let Some(k) = sampling.top_k {
        kept.truncate(k);
    }
    let largest = kept.first().map_or(0.0, |(_, logit)| *logit);
    for (_, logit) in &mut kept {
        // The largest has 1, also where it is infinite.
        *logit = if *logit < largest {
            (*logit - largest).exp()
        } else {
            1.0
        };
    }
    let weight = |kept: &[(i64, f64)]| kept.iter().map(|(_, weight)| weight).sum::<f64>();
    if let Some(p) = sampling.top_p {
        let enough = f64::from(p) * weight(&kept);
        let mut so_far = 0.0;
        let needed = kept.iter().position(|(_, weight)| {
            so_far += weight;
            so_far >= enough
        });
        kept.truncate(needed.map_or(kept.len(), |last| last + 1));
    }
    let mut left = at * weight(&kept);
    for (token, weight) in &kept {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    // Rounding may leave nothing for the last one.
    kept.iter()
        .rfind(|(_, weight)| *weight > 0.0)
        .map_or(0, |(token, _)| *token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    const PLAIN: Sampling = Sampling {
        temperature: 1.0,
        top_k: None,
        top_p: None,
        seed: 7,
    };

    #[test]
    fn of_equals_the_lowest_id_is_taken() {
        assert_eq!(likeliest(&array![1.0, 3.0, 3.0, 2.0].view()), 1);
        assert_eq!(likeliest(&array![f32::NEG_INFINITY, -5.0].view()), 1);
    }

    /// Probabilities 0.1, 0.6, 0.3, drawn in the order 1, 2, 0.
    #[test]
    fn draws_follow_the_probabilities_that_are_left() {
        let logits = array![0.1_f32.ln(), 0.6_f32.ln(), 0.3_f32.ln()];
        let drawn = |sampling: Sampling, at| draw(&logits.view(), &sampling, at);
        assert_eq!(
            [0.0, 0.59, 0.61, 0.89, 0.91, 0.999_999].map(|at| drawn(PLAIN, at)),
            [1, 1, 2, 2, 0, 0]
        );
        let two = Sampling {
            top_k: Some(2),
            ..PLAIN
        };
        assert_eq!([0.66, 0.67, 0.999].map(|at| drawn(two, at)), [1, 2, 2]);
        let most = Sampling {
            top_p: Some(0.55),
            ..PLAIN
        };
        assert_eq!(drawn(most, 0.999), 1);
        let more = Sampling {
            top_p: Some(0.65),
            ..PLAIN
        };
        assert_eq!([0.66, 0.67].map(|at| drawn(more, at)), [1, 2]);
        // 0.36 : 0.09 : 0.01 at half the temperature.
        let cold = Sampling {
            temperature: 0.5,
            ..PLAIN
        };
        assert_eq!(
            [0.78, 0.79, 0.97, 0.98].map(|at| drawn(cold, at)),
            [1, 2, 2, 0]
        );
    }

    proptest! {
        #[test]
        fn a_draw_is_a_token_that_is_kept(
            logits in prop::collection::vec(-20.0_f32..20.0, 1..50),
            temperature in 0.01_f32..5.0,
            top_k in prop::option::of(1_usize..60),
            top_p in prop::option::of(0.01_f32..1.0),
            at in 0.0_f64..1.0,
        ) {
            let sampling = Sampling { temperature, top_k, top_p, seed: 0 };
            let logits = ndarray::Array1::from(logits);
            let token = usize::try_from(draw(&logits.view(), &sampling, at)).unwrap_or(usize::MAX);
            prop_assert!(token < logits.len());
            let better = logits.iter().filter(|logit| **logit > logits[token]).count();
            prop_assert!(top_k.is_none_or(|k| better < k));
        }
    }

    #[test]
    fn each_prompt_has_draws_of_its_own_that_the_seed_fixes() {
        let logits = ndarray::Array1::<f32>::zeros(1000);
        let text = |seed, prompt| {
            let mut chooser = Chooser::new(Some(Sampling { seed, ..PLAIN }), prompt);
            [0; 8].map(|_| chooser.choose(&logits.view()))
        };
        assert_eq!(text(1, 0), text(1, 0));
        assert_ne!(text(1, 0), text(1, 1));
        assert_ne!(text(1, 0), text(2, 0));
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        let wrong = [
            Sampling {
                temperature: 0.0,
                ..PLAIN
            },
            Sampling {
                temperature: f32::NAN,
                ..PLAIN
            },
            Sampling {
                top_k: Some(0),
                ..PLAIN
            },
            Sampling {
                top_p: Some(0.0),
                ..PLAIN
            },
            Sampling {
                top_p: Some(1.5),
                ..PLAIN
            },
        ];
        for sampling in wrong {
            assert!(sampling.check().is_err(), "{sampling:?}");
        }
        assert!(PLAIN.check().is_ok());
    }
}
