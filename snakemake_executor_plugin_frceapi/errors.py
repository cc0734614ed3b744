"""The exceptions of this package, as a tree.

::

    FrceapiError                 anything this package raises on purpose
    ├── SettingsError            a setting is wrong: stop before anything is submitted
    ├── JobError                 this job cannot be expressed or was refused: the job fails, the run goes on
    ├── RunFailed                the run is over, and not all of it has ended well
    └── ServiceError             the service could not be used
        ├── ConfigurationFault   it will not work without a change by the user (certificate, host name, URL)
        └── TransientFault       it may work later; `retry_after_seconds` when the service said when
            └── TicketFault      there is no usable Kerberos ticket

Every message names what failed, the value seen and the remedy; it is one line, fit to be shown to a user as it is.
"""

from __future__ import annotations


class FrceapiError(Exception):
    """Root of all exceptions that this package raises on purpose."""


class SettingsError(FrceapiError):
    """A setting has a value that cannot work."""


class JobError(FrceapiError):
    """A job asks for something that the API cannot express, or that contradicts itself."""


class RunFailed(FrceapiError):
    """The run is over, and not all of its jobs have ended well."""


class ServiceError(FrceapiError):
    """The service could not be used. Nothing was sent unless the message says so."""


class ConfigurationFault(ServiceError):
    """The service cannot be used until the user changes something."""


class TransientFault(ServiceError):
    """The service cannot be used now and may be usable later.

    Attributes:
        retry_after_seconds: what the service asked for in ``Retry-After``, in seconds, or None.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TicketFault(TransientFault):
    """There is no usable Kerberos ticket; work goes on by itself once there is one."""
