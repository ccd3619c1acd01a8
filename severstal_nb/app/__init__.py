"A server for this machine or one network: a service that answers images."
