"""Ports of servers that a command starts, looked at before anything is said or started."""

from __future__ import annotations

import socket

from phenolake.errors import ConfigurationError


def refuse_taken(host: str, **ports: int) -> None:
    """Refuse a port that can't be listened on; names are those of the options.

    Raises
    ------
    ConfigurationError
        Names the port, the reason, and the option that chooses another.
    """
    for option, port in ports.items():
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family) as server:
                # As servers do: a port whose last connections are closing is free.
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"{host} port {port}: {error.strerror}; choose another with "
                f"--{option.replace('_', '-')}"
            ) from error
