"""gluerun turns a backlog into merged, verified commits with AI coding agents, unattended."""
