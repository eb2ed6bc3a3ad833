"""Under fire: cases travel the whole chain while faults strike, and the checker judges each time.

python -m tests.faults [--seed N] [--long]
"""
