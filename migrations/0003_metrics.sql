-- Counters, as /ops/metrics shows them. Owner: shared/http/metrics.rs. `labels` is a JSON array of texts; `amount` is what the counted
-- events add up to, in the unit of their kind, where they have one.
CREATE TABLE metrics (
    kind TEXT NOT NULL,
    labels TEXT NOT NULL,
    count INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (kind, labels)
) STRICT, WITHOUT ROWID;
