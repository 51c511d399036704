-- One search. Nothing here depends on the time: the same seed gives the same rows.
CREATE TABLE search (about TEXT NOT NULL); -- one row: the settings, as JSON

CREATE TABLE candidates (
    id INTEGER PRIMARY KEY, -- from 1, in the order of generation, place, attempt
    generation INTEGER NOT NULL, -- 0: the seeds
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    side INTEGER NOT NULL, -- of the families: it was proposed on them, and re-tested on the others
    source TEXT NOT NULL,
    canonical TEXT NOT NULL,
    mutator TEXT NOT NULL,
    parents TEXT NOT NULL, -- JSON, a list of ids
    note TEXT NOT NULL,
    flops REAL, -- per element; this and the next three are null where the program was not admitted
    pointwise INTEGER,
    gain REAL,
    curve BLOB, -- float64, on GRID
    fitness REAL, -- gain to the portfolio of its time, on its side's problems
    reason TEXT NOT NULL, -- why there is no fitness, one word
    detail TEXT NOT NULL,
    confirmed REAL, -- gain to the portfolio of its time, on the other side's families
    confirm_reason TEXT, -- null: not re-tested; empty: re-tested, with a fitness
    member_steps INTEGER NOT NULL, -- spent on its measurements before a round's end
    UNIQUE (generation, place, attempt)
) STRICT;

CREATE TABLE measurements (
    candidate INTEGER NOT NULL REFERENCES candidates,
    "set" TEXT NOT NULL, -- search, confirm
    rung TEXT NOT NULL,
    problem TEXT NOT NULL,
    family TEXT NOT NULL,
    seed INTEGER NOT NULL,
    rate REAL NOT NULL,
    train REAL, -- null: not a number
    valid REAL,
    ood REAL
) STRICT;
CREATE INDEX measurements_by_candidate ON measurements (candidate);

CREATE TABLE elites ( -- after each generation
    generation INTEGER NOT NULL,
    side INTEGER NOT NULL,
    candidate INTEGER NOT NULL REFERENCES candidates,
    PRIMARY KEY (generation, side, candidate)
) STRICT, WITHOUT ROWID;

CREATE TABLE joins ( -- elites that were measured on all families at the end of a round
    round INTEGER NOT NULL, -- from 0
    candidate INTEGER NOT NULL REFERENCES candidates,
    generation INTEGER NOT NULL,
    gain REAL, -- to the portfolio of that moment; null: no score
    member_steps INTEGER NOT NULL,
    joined INTEGER NOT NULL, -- 1: it is a member of the portfolio from then on
    PRIMARY KEY (round, candidate)
) STRICT, WITHOUT ROWID;

CREATE TABLE calls ( -- of language models, each committed at once
    generation INTEGER NOT NULL,
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer TEXT NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    money REAL NOT NULL,
    error TEXT NOT NULL, -- empty where an answer came
    digest TEXT NOT NULL -- of the columns before
) STRICT;
CREATE INDEX calls_by_slot ON calls (generation, place, attempt);

CREATE TABLE digests ( -- written with their generations, compared when the database is opened
    generation INTEGER PRIMARY KEY,
    digest TEXT NOT NULL -- of all its rows in the tables above, and of the digest before
) STRICT;
