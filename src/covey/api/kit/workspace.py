"""The defaults that a workspace may have."""

from pydantic import BaseModel, ConfigDict

from covey.calls.intake import OnInvalid


class WorkspaceSettings(BaseModel):
    """The defaults that a workspace may have. `country` only says what numbers without `+` would be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str | None = None
    country: str | None = None
    onInvalid: OnInvalid = OnInvalid.reject
    trunk: str | None = None
    retention_days: int | None = None
    """How many days after its end a batch is deleted; None: as the server's settings say."""
