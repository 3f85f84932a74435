"""The TabPy side: forwarders that TabPy serves, their deployer, and the launcher of the real TabPy."""
