-- Which Matrix identity apps know a person by: the one that they chose last, and before any choice the oldest. Owner: identity.
ALTER TABLE identities ADD COLUMN chosen_at INTEGER NOT NULL DEFAULT 0;

-- Since when the reserved wallet is open: the Matrix id that its payments name cannot be switched any more. Owner: identity; null until
-- there is a wallet.
ALTER TABLE users ADD COLUMN wallet_opened_at INTEGER;
