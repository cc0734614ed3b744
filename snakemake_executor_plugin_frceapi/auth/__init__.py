"""Kerberos: the Negotiate header of a request, and the ticket behind it.

No Kerberos library is imported before the first request needs one, so that the package works without any.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.auth.negotiate import NegotiateAuth, Warmth, negotiate_auth
from snakemake_executor_plugin_frceapi.auth.ticket import Ticket, renew_ticket, renewal_time, ticket_status

__all__ = ["NegotiateAuth", "Ticket", "Warmth", "negotiate_auth", "renew_ticket", "renewal_time", "ticket_status"]
