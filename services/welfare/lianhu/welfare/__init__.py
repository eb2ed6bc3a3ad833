"""Welfare: applications and money; programmes, signatures, pools, payments 救助帮扶."""
