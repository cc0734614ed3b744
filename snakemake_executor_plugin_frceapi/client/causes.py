"""The words for everything that can go wrong with a connection; those of libraries may hold a whole URL."""

from __future__ import annotations

import os
import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from snakemake_executor_plugin_frceapi.client.endpoint import is_loopback
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TransientFault

_NO_TLS = "WRONG_VERSION_NUMBER"
"""What OpenSSL calls an answer that is not TLS."""

_PROXY_REMEDY = "correct the proxy in HTTPS_PROXY, or name the host in NO_PROXY"
_TRUST_REMEDY = "if the site has a certificate authority of its own, name its PEM file with --frceapi-ca-bundle"
_CLOCK_REMEDY = "check this machine's clock; if it is right, the site must renew the certificate"
_HOST_REMEDY = "check --frceapi-url: it must name the host as the certificate does"
_CERTIFICATE_REMEDIES = {9: _CLOCK_REMEDY, 10: _CLOCK_REMEDY, 62: _HOST_REMEDY, 64: _HOST_REMEDY}
"""What to do about a certificate by verification error: X509_STORE_CTX_get_error(3)."""


class TooLargeError(ValueError):
    """An answer has more bytes than any that is right."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"its answer has more than {max_bytes:,} bytes")


def no_proxy(url: str, proxy: str) -> ServiceError:
    """Return what it means that the environment names a proxy which is none.

    Args:
        url: the service as it may be shown.
        proxy: likewise the proxy.
    """
    return ConfigurationFault(f"cannot reach {url}: {proxy} is no HTTP proxy; {_PROXY_REMEDY}")


def unreached(err: Exception, url: str, proxy: str = "", silent_seconds: float | None = None) -> ServiceError:
    """Return what it means that there is no connection, so that nothing was sent.

    Args:
        err: what happened.
        url: the service as it may be shown.
        proxy: likewise the proxy that has not connected to it, empty if there is none.
        silent_seconds: how long it was tried in vain; None where it has failed before.
    """
    what = cause_text(err) if silent_seconds is None else f"it did not answer in {silent_seconds:g} s"
    return _without_proxy(err, url, proxy, what) if proxy else _unsent(err, url, f"cannot reach {url}: {what}")


def _without_proxy(err: Exception, url: str, proxy: str, what: str) -> ServiceError:
    if "Tunnel connection failed" in str(err):
        message = f"cannot reach {url}: the proxy {proxy} does not connect to it ({err})"
        return TransientFault(f"{message}; {_PROXY_REMEDY}")
    message = f"cannot reach {url} through the proxy {proxy}: {what}"
    if isinstance(err, ssl.SSLCertVerificationError) and err.verify_code not in _CERTIFICATE_REMEDIES:
        return ConfigurationFault(f"{message}; {_TRUST_REMEDY}")
    return TransientFault(f"{message}; {_PROXY_REMEDY}")


def _unsent(err: Exception, url: str, message: str) -> ServiceError:
    if isinstance(err, ssl.SSLCertVerificationError):
        return ConfigurationFault(f"{message}; {_CERTIFICATE_REMEDIES.get(err.verify_code, _TRUST_REMEDY)}")
    if "CERTIFICATE" in (getattr(err, "reason", None) or ""):
        return ConfigurationFault(f"{message}; {_TRUST_REMEDY}")
    if isinstance(err, ssl.SSLError) and err.reason == _NO_TLS:
        return ConfigurationFault(f"{message}; check --frceapi-url")
    if isinstance(err, ssl.SSLError) and not isinstance(err, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConfigurationFault(f"{message}; check --frceapi-url, and --frceapi-ca-bundle if it is set")
    if isinstance(err, UnicodeError):
        return ConfigurationFault(f"{message}; check --frceapi-url and HTTPS_PROXY")
    if isinstance(err, socket.gaierror):
        return TransientFault(f"{message}; check the network and --frceapi-url")
    if is_loopback(url) and url.startswith("http:"):
        return TransientFault(f"{message}; start the sandbox with `frceapi sandbox`, and check --frceapi-url")
    return TransientFault(f"{message}; check the network or VPN")


def cause_text(err: Exception) -> str:
    """Return what happened in words of ours or of the operating system."""
    match err:
        case ssl.SSLCertVerificationError():
            text = f"its certificate is not trusted ({err.verify_message.rstrip('.')})"
        case ssl.SSLError(reason=reason) if reason == _NO_TLS:
            text = "it does not speak TLS at this port"
        case ssl.SSLError():
            text = f"TLS failed ({err.reason or type(err).__name__})"
        case socket.gaierror():
            text = f"the host name is not known ({err.strerror})"
        case UnicodeError():
            text = "this is no host name"
        case TimeoutError():
            text = "it did not answer in time"
        case OSError(errno=int(number)):
            text = os.strerror(number)
        case _:
            text = _answer_text(err)
    return text


def _answer_text(err: Exception) -> str:
    """Return what is wrong with an answer that came at least in part."""
    root: BaseException = err  # a length that is none is behind what the standard library makes of it
    while cause := root.__cause__ or root.__context__:
        root = cause
    match root:
        case TooLargeError():
            return str(root)
        case RemoteDisconnected():
            return "it closed the connection without an answer"
        case IncompleteRead():
            return "its answer was cut off"
        case HTTPException() | ValueError():
            return f"its answer is no HTTP ({type(root).__name__})"
    return f"the connection broke ({type(err).__name__})"
