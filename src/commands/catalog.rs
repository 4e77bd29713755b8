//! `eshopz catalog import|export`.
