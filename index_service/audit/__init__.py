"""The audit log: who changed which permission or credential; append-only, pruned by age."""
