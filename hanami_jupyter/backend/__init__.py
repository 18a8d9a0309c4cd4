"""The embedded Hanami server: routes, accounts, storage, task queues, hosts."""
