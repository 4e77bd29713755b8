-- Letters that are to be sent. A row has no token: that is made when the letter goes out, and only its hash is kept.

SET LOCAL search_path = users, public;

CREATE TABLE letters (
    id           uuid PRIMARY KEY,
    purpose      text NOT NULL CHECK (purpose IN ('password_reset', 'verify_email')),
    -- To whom it goes; or the address that somebody named, of which it is not known yet whether there is an account.
    user_id      uuid REFERENCES users (id),
    address      text,
    -- Counted when one begins, so that a letter at which a process dies is not tried for ever.
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- When it may be tried (again): the end of the lease while it is tried, the next attempt after a failure.
    available_at timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT letters_one_recipient CHECK (num_nonnulls(user_id, address) = 1)
);
CREATE INDEX letters_due ON letters (available_at);
CREATE INDEX letters_user ON letters (user_id) WHERE user_id IS NOT NULL;
