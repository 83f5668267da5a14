"""What every store must do: the specification of covey.store.store."""
