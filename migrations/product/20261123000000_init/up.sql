-- The catalogue: categories, products and their variants, stock with its ledger, reservations, and
-- what the search needs.

CREATE SCHEMA products;
REVOKE ALL ON SCHEMA products FROM PUBLIC;

-- Roles belong to the whole server: another database, or a migration of it at this moment, may have
-- made this one. It has no login: the module's connections switch to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'products') THEN
        CREATE ROLE products NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- An owner who is no superuser may only switch to a role that was granted to him.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT products TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN unique_violation OR internal_error THEN NULL; -- granted by somebody else just now
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'products', 'MEMBER') THEN
            RAISE;
        END IF;
END $$;

GRANT USAGE ON SCHEMA products TO products;
ALTER DEFAULT PRIVILEGES IN SCHEMA products GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO products;
ALTER DEFAULT PRIVILEGES IN SCHEMA products GRANT USAGE, SELECT ON SEQUENCES TO products;

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

SET LOCAL search_path = products, public;

-- A UUIDv7 (RFC 9562): milliseconds since 1970 in the first six bytes, then the version, then random.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

CREATE TABLE categories (
    id         uuid PRIMARY KEY,
    slug       text NOT NULL CONSTRAINT categories_slug_key UNIQUE,
    name       text NOT NULL,
    parent_id  uuid CONSTRAINT categories_parent_fkey REFERENCES categories (id),
    position   integer NOT NULL DEFAULT 0,
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT categories_not_own_parent CHECK (parent_id <> id)
);
CREATE INDEX categories_parent_id ON categories (parent_id);

-- HTML to words: without tags, entities and ASCII punctuation; what else is no letter, the text
-- search parser takes for a gap itself.
CREATE FUNCTION plain_words(html text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(
        regexp_replace(html, '<[^>]*>|&#?[a-zA-Z0-9]+;', ' ', 'g'),
        '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')
$$;

-- Title, vendor, type and tags are in it as they are written (for words that are still being typed)
-- and stemmed (for plurals and the like). The rest has no positions, to keep the rows narrow.
CREATE FUNCTION product_search(
    title text, vendor text, product_type text, tags text[], skus text, handle text, description text
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('pg_catalog.english', a) || to_tsvector('pg_catalog.simple', a), 'A')
        || setweight(to_tsvector('pg_catalog.english', b) || to_tsvector('pg_catalog.simple', b), 'B')
        || strip(to_tsvector('pg_catalog.english', c))
    FROM (SELECT products.plain_words(title),
                 products.plain_words(vendor || ' ' || product_type || ' ' || array_to_string(tags, ' ')),
                 left(products.plain_words(description), 8000)
                 || ' ' || left(products.plain_words(handle || ' ' || skus), 40000)) AS words (a, b, c)
$$;

CREATE TABLE products (
    id              uuid PRIMARY KEY,
    handle          text NOT NULL CONSTRAINT products_handle_key UNIQUE,
    title           text NOT NULL,
    description     text NOT NULL DEFAULT '',
    vendor          text NOT NULL DEFAULT '',
    product_type    text NOT NULL DEFAULT '',
    tags            text[] NOT NULL DEFAULT '{}',
    status          text NOT NULL DEFAULT 'active'
                    CONSTRAINT products_status CHECK (status IN ('active', 'draft', 'archived')),
    category_id     uuid CONSTRAINT products_category_fkey REFERENCES categories (id),
    -- [{"name": "Size", "values": ["S", "M"]}], at most three
    options         jsonb NOT NULL DEFAULT '[]',
    -- [{"url": "…", "alt": "…"}], in order
    images          jsonb NOT NULL DEFAULT '[]',
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    -- Of the variants, kept here to sort, filter and search by.
    price_min_minor bigint NOT NULL DEFAULT 0,
    price_max_minor bigint NOT NULL DEFAULT 0,
    skus            text NOT NULL DEFAULT '',
    search          tsvector NOT NULL GENERATED ALWAYS AS
                    (product_search(title, vendor, product_type, tags, skus, handle, description)) STORED,
    CONSTRAINT products_price_range CHECK (0 <= price_min_minor AND price_min_minor <= price_max_minor)
);
CREATE INDEX products_newest ON products (created_at DESC, id DESC);
CREATE INDEX products_by_price ON products (price_min_minor, id);
CREATE INDEX products_by_title ON products ((lower(title) COLLATE "C"), id);
CREATE INDEX products_category ON products (category_id, created_at DESC, id DESC);
CREATE INDEX products_vendor ON products (vendor, created_at DESC, id DESC);
CREATE INDEX products_type ON products (product_type, created_at DESC, id DESC);
CREATE INDEX products_tags ON products USING gin (tags);
-- What is not merged yet is read whole by every search, so it stays short.
CREATE INDEX products_search ON products USING gin (search) WITH (gin_pending_list_limit = 1024);

CREATE TABLE variants (
    id                uuid PRIMARY KEY,
    product_id        uuid NOT NULL REFERENCES products (id),
    sku               text CONSTRAINT variants_sku_key UNIQUE,
    title             text NOT NULL,
    -- One per option of the product, in the order of its options.
    option_values     text[] NOT NULL DEFAULT '{}',
    price_minor       bigint NOT NULL CHECK (price_minor >= 0),
    compare_at_minor  bigint CHECK (compare_at_minor >= 0),
    barcode           text,
    weight_grams      integer NOT NULL DEFAULT 0 CHECK (weight_grams >= 0),
    requires_shipping boolean NOT NULL DEFAULT true,
    taxable           boolean NOT NULL DEFAULT true,
    position          integer NOT NULL DEFAULT 1,
    image_url         text,
    -- The quantity that the last import of this variant asked for: the same file again changes nothing.
    imported_on_hand  integer,
    version           bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT variants_option_values_key UNIQUE (product_id, option_values)
);

-- Narrow, without further indexes and with room on each page, so that a reservation rewrites one
-- small row in place. Every variant has one.
CREATE TABLE stock_levels (
    variant_id uuid PRIMARY KEY REFERENCES variants (id) ON DELETE CASCADE,
    on_hand    bigint NOT NULL DEFAULT 0,
    reserved   bigint NOT NULL DEFAULT 0,
    -- May be sold beyond the stock (`inventory_policy` is `continue`).
    backorder  boolean NOT NULL DEFAULT false,
    CONSTRAINT stock_reserved_sign CHECK (reserved >= 0),
    -- The law: no more is promised than there is.
    CONSTRAINT stock_not_oversold CHECK (backorder OR reserved <= on_hand)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- The ledger. `on_hand` of a variant is the sum of its deltas. It outlives the variant.
CREATE TABLE stock_movements (
    id            uuid PRIMARY KEY DEFAULT uuid_v7(),
    variant_id    uuid NOT NULL,
    delta         bigint NOT NULL,
    on_hand_after bigint NOT NULL,
    kind          text NOT NULL
                  CONSTRAINT stock_movements_kind CHECK (kind IN ('set', 'adjustment', 'import', 'sale', 'return')),
    reason        text,
    order_id      uuid,
    -- Who did it: an account's id, `import`, or `order`.
    actor         text NOT NULL,
    -- Taken while the stock is locked, so it grows with each movement of a variant.
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX stock_movements_variant ON stock_movements (variant_id, created_at DESC, id DESC);

-- What an order holds (`held`), has bought (`sold`) or held once (`released`).
CREATE TABLE reservations (
    order_id   uuid PRIMARY KEY,
    state      text NOT NULL CONSTRAINT reservations_state CHECK (state IN ('held', 'sold', 'released')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'held';

CREATE TABLE reservation_lines (
    order_id   uuid NOT NULL REFERENCES reservations (order_id) ON DELETE CASCADE,
    variant_id uuid NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, variant_id)
);

-- The words of the catalogue, for queries with typing errors. No unique index: two writers at the
-- same moment may both add a word, which does no harm, and never wait for each other.
CREATE TABLE search_words (word text NOT NULL);
CREATE INDEX search_words_word ON search_words (word);
CREATE INDEX search_words_near ON search_words USING gin (word gin_trgm_ops);

CREATE FUNCTION learn_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- Most updates are of something else.
        IF NOT EXISTS (
            SELECT FROM written n JOIN replaced o USING (id)
            WHERE (n.title, n.vendor, n.product_type, n.tags)
                  IS DISTINCT FROM (o.title, o.vendor, o.product_type, o.tags)
        ) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO search_words (word)
    SELECT DISTINCT w.word
    FROM written n,
         unnest(tsvector_to_array(to_tsvector('pg_catalog.simple', plain_words(
             n.title || ' ' || n.vendor || ' ' || n.product_type || ' ' || array_to_string(n.tags, ' '))))) AS w (word)
    WHERE length(w.word) BETWEEN 3 AND 40 AND w.word !~ '^[0-9]+$'
      AND NOT EXISTS (SELECT FROM search_words k WHERE k.word = w.word);
    RETURN NULL;
END
$$;
CREATE TRIGGER products_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION learn_words();
CREATE TRIGGER products_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS replaced NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION learn_words();

-- Words of the catalogue that look like those typed. The threshold is low, since two swapped letters
-- in a short word leave few trigrams alike; the program then counts the errors.
CREATE FUNCTION near_words(typed text[]) RETURNS TABLE (typed_word text, word text)
LANGUAGE sql STABLE SET pg_trgm.similarity_threshold = 0.15 AS $$
    SELECT t.typed_word, near.word
    FROM unnest(typed) AS t (typed_word),
         LATERAL (
             SELECT DISTINCT w.word, similarity(w.word, t.typed_word) AS alike
             FROM search_words w
             WHERE w.word % t.typed_word
               AND length(w.word) BETWEEN length(t.typed_word) - 3 AND length(t.typed_word) + 3
             ORDER BY alike DESC
             LIMIT 200
         ) AS near
$$;

-- Events, written in the transaction of what they tell. `remaining` is NULL until a relay has seen
-- the event, then the number of listeners that still wait for it; at 0 it is published.
CREATE TABLE outbox (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    payload      jsonb NOT NULL,
    occurred_at  timestamptz NOT NULL DEFAULT now(),
    traceparent  text,
    remaining    integer CHECK (remaining >= 0),
    published_at timestamptz,
    CONSTRAINT outbox_published CHECK ((published_at IS NOT NULL) = (remaining IS NOT DISTINCT FROM 0))
);
-- Only what is new is in here, so that finding it costs the same however much has been published.
CREATE INDEX outbox_new ON outbox (id) WHERE remaining IS NULL;

-- One row per event and listener, gone once delivered. `available_at` is when it may be tried (again):
-- the lease while a relay tries it, the next attempt after a failure. A row with `dead_at` is a dead
-- letter and waits for an operator.
CREATE TABLE outbox_deliveries (
    event_id     uuid NOT NULL REFERENCES outbox (id),
    listener     text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    available_at timestamptz NOT NULL DEFAULT now(),
    dead_at      timestamptz,
    last_error   text,
    PRIMARY KEY (event_id, listener)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_deliveries_due ON outbox_deliveries (listener, available_at) WHERE dead_at IS NULL;
CREATE INDEX outbox_deliveries_dead ON outbox_deliveries (dead_at) WHERE dead_at IS NOT NULL;

-- What this module's listeners have taken in, so that an event that comes twice counts once.
CREATE TABLE inbox (
    event_id    uuid NOT NULL,
    listener    text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, listener)
);

-- Periodic jobs: nobody else may start `name` before `until`.
CREATE TABLE leases (
    name   text PRIMARY KEY,
    holder uuid NOT NULL,
    until  timestamptz NOT NULL
);

-- Answers to requests with an Idempotency-Key, written in the transaction of the effect.
CREATE TABLE idempotency_keys (
    caller       text NOT NULL,
    key          text NOT NULL,
    operation    text NOT NULL,
    request_hash bytea NOT NULL,
    resource_id  uuid,
    status       smallint,
    body         text,
    location     text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
