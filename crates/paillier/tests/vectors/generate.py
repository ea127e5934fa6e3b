#!/usr/bin/env python3
"""Writes paillier.txt from big-integer arithmetic that shares no code with the crate.

    python3 generate.py ../../src/fixtures.rs > paillier.txt
"""
import random
import re
import sys

rng = random.Random("paillier known answers")
text = open(sys.argv[1], encoding="utf-8").read()
keys = {}
for bits in (2048, 3072):
    body = text.split(f"const PRIMES_{bits}")[1].split("];\n\n")[0]
    primes = [int(re.sub(r"[\\\s]", "", s), 16) for s in re.findall(r'"([^"]+)"', body)][:4]
    keys[bits] = [(primes[0], primes[1]), (primes[2], primes[3])]


def emit(operation, **fields):
    print(operation, *(f"{name}={value}" for name, value in fields.items()))


def plain(x, bits):
    return x.to_bytes(bits // 8, "little").hex()


def wire(c, n, bits):
    return plain(c % n, bits) + plain(c // n, bits)


def encrypt(m, r, n):
    return (1 + m * n) * pow(r, n, n * n) % (n * n)


print("# Known answers. Keys are those of src/fixtures.rs; see README.md for the format.")
for bits in (2048, 3072):
    for key, (p, q) in enumerate(keys[bits]):
        n = p * q
        where = {"bits": bits, "key": key}
        emit("modulus", **where, n=plain(n, bits))
        if key == 1 and bits == 3072:
            continue
        n2 = n * n
        r = [rng.randrange(1, n) for _ in range(4)]
        for m, rr in ((0, 1), (n - 1, r[0])) if key == 0 else ((rng.randrange(n), r[1]),):
            emit("encrypt", **where, m=plain(m, bits), r=plain(rr, bits), c=wire(encrypt(m, rr, n), n, bits))
        if key == 1:
            continue
        ma, mb = rng.randrange(n), rng.randrange(n)
        a, b = encrypt(ma, r[2], n), encrypt(mb, r[3], n)
        wa, wb = wire(a, n, bits), wire(b, n, bits)
        emit("decrypt", **where, c=wa, m=plain(ma, bits))
        emit("decrypt", **where, c=wire(1, n, bits), m=plain(0, bits))
        emit("add", **where, a=wa, b=wb, c=wire(a * b % n2, n, bits))
        emit("sub", **where, a=wa, b=wb, c=wire(a * pow(b, -1, n2) % n2, n, bits))
        for k in (-1, 12345, -(2**31)):
            emit("mul", **where, a=wa, k=k, c=wire(pow(a, k, n2), n, bits))
        emit("add-plain", **where, a=wa, m=plain(mb, bits), c=wire(a * (1 + mb * n) % n2, n, bits))
        if bits == 3072:
            continue
        emit("signed", **where, value=-5, m=plain(n - 5, bits))
        emit("digit", **where, m=plain(ma, bits), index=7, slot=97, low=61, value=(ma >> 7 * 97) % 2**61)
        # Negative vectors.
        two = wa + wb
        emit("decode", **where, count=2, c=two, error="none")
        emit("decode", **where, count=0, c="", error="none")
        emit("decode", **where, count=2, c=two + "00", error="length")
        emit("decode", **where, count=2, c=two[:-2], error="length")
        emit("decode", **where, count=1, c=two, error="length")
        emit("decode", **where, count=1, c=plain(n, bits) + plain(0, bits), error="range")
        emit("decode", **where, count=1, c=plain(1, bits) + plain(n, bits), error="range")
        emit("decode", **where, count=1, c="ff" * (bits // 4), error="range")
        emit("decode", **where, count=1, c=plain(0, bits) + plain(1, bits), error="coprime")
        emit("decode", **where, count=2, c=wa + wire(5 * p, n, bits), error="coprime")
        emit("decode", **where, count=2, c=wire(q, n, bits) + wb, error="coprime")


def is_prime(x):
    return all(pow(a, x - 1, x) == 1 for a in (2, 3, 5, 7, 11, 13))


bits = 2048
(p, q), (p2, _) = keys[bits]
n = p * q
emit("proof", bits=bits, n=plain(n, bits), error="proof")
emit("proof", bits=bits, n=plain(n, bits)[:-2], error="length")
emit("proof", bits=bits, n=plain(n >> 1 | 1, bits), error="length")
emit("proof", bits=bits, n=plain(n - 1, bits), error="small-factor")
small = next(x for x in range(2**2047 // 1048573 + 1, 2**2047, 1) if x % 2 and (x * 1048573) % 4 == 1)
emit("proof", bits=bits, n=plain(small * 1048573, bits), error="small-factor")
prime = rng.randrange(2**2047, 2**2048) | 1
while not is_prime(prime):
    prime += 2
emit("proof", bits=bits, n=plain(prime, bits), error="prime")
