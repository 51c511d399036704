"""How good an activation is: batched training, the measured protocol, the cascade that stops hopeless ones early."""
