"""What every wire API needs: keys, errors, bodies, idempotency, the API document. It knows no dialect."""
