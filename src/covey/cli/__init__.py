"""The command line. It talks to the server by `covey.client`; serve, demo and local alone know the server's code."""
