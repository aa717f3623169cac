//! `progressive` against a brute-force search with a cost function of its own; `gradient-norm` by hand.

mod gradient_norm;
mod progressive;
