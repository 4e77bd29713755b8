-- What a person has asked to see of what is held on him, while it is gathered: a part, or several, of each module.
SET LOCAL search_path = users, public;

CREATE TABLE exports (
    id           uuid PRIMARY KEY,
    -- Whoever asks again meanwhile waits for the same one.
    user_id      uuid NOT NULL CONSTRAINT exports_one_per_user UNIQUE REFERENCES users (id),
    requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX exports_requested_at ON exports (requested_at);

CREATE TABLE export_parts (
    export_id uuid NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
    module    text NOT NULL,
    number    integer NOT NULL CHECK (number >= 0),
    is_last   boolean NOT NULL,
    document  jsonb NOT NULL,
    PRIMARY KEY (export_id, module, number)
);
