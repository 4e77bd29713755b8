-- The words of the products in a table beside them. A search reads many rows to find a few, and those of
-- `products` are wide.

SET LOCAL search_path = products, public;

-- Whoever writes waits until the words are filled in and kept, some seconds for each hundred thousand products.
LOCK TABLE products IN EXCLUSIVE MODE;

-- As before in one pass: `translate` looks for each letter in the whole list.
CREATE OR REPLACE FUNCTION plain_words(html text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(html, '<[^>]*>|&#?[a-zA-Z0-9]+;|[!-/:-@[-`{-~]', ' ', 'g')
$$;

-- As before, each text made plain once.
CREATE OR REPLACE FUNCTION product_search(
    title text, vendor text, product_type text, tags text[], skus text, handle text, description text
) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    a text := products.plain_words(title);
    b text := products.plain_words(vendor || ' ' || product_type || ' ' || array_to_string(tags, ' '));
    c text := left(products.plain_words(description), 8000)
              || ' ' || left(products.plain_words(handle || ' ' || skus), 40000);
BEGIN
    RETURN setweight(to_tsvector('pg_catalog.english', a) || to_tsvector('pg_catalog.simple', a), 'A')
        || setweight(to_tsvector('pg_catalog.english', b) || to_tsvector('pg_catalog.simple', b), 'B')
        || strip(to_tsvector('pg_catalog.english', c));
END
$$;

CREATE TABLE product_words (
    product_id uuid PRIMARY KEY,
    -- The order in which products came: the newest has the highest.
    place      bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT product_words_place_key UNIQUE,
    status     text NOT NULL,
    search     tsvector NOT NULL
);
INSERT INTO product_words (product_id, status, search)
SELECT id, status, search FROM products ORDER BY created_at, id;
-- What is not merged yet is read whole by every search, so it stays short.
CREATE INDEX product_words_search ON product_words USING gin (search) WITH (gin_pending_list_limit = 1024);
ANALYZE product_words;

DROP TRIGGER products_inserted ON products;
DROP TRIGGER products_updated ON products;
DROP FUNCTION learn_words();
ALTER TABLE products DROP COLUMN search;

-- Keeps the words of what was written, and adds those of titles and the like to the vocabulary.
CREATE FUNCTION keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO product_words (product_id, status, search)
        SELECT n.id, n.status,
               product_search(n.title, n.vendor, n.product_type, n.tags, n.skus, n.handle, n.description)
        FROM written n;
    ELSE
        UPDATE product_words w
        SET status = n.status,
            search = product_search(n.title, n.vendor, n.product_type, n.tags, n.skus, n.handle, n.description)
        FROM written n JOIN replaced o USING (id)
        WHERE w.product_id = n.id
          AND (n.status, n.title, n.vendor, n.product_type, n.tags, n.skus, n.handle, n.description)
              IS DISTINCT FROM (o.status, o.title, o.vendor, o.product_type, o.tags, o.skus, o.handle, o.description);
        -- Most updates are of something else.
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO search_words (word)
    SELECT w.word
    FROM (SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('pg_catalog.simple', plain_words(
              n.title || ' ' || n.vendor || ' ' || n.product_type || ' ' || array_to_string(n.tags, ' ')))))
          FROM written n) w (word)
    WHERE length(w.word) BETWEEN 3 AND 40 AND w.word !~ '^[0-9]+$'
      AND NOT EXISTS (SELECT FROM search_words k WHERE k.word = w.word);
    RETURN NULL;
END
$$;
CREATE TRIGGER products_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION keep_words();
CREATE TRIGGER products_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS replaced NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION keep_words();

CREATE FUNCTION forget_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM product_words w USING gone g WHERE w.product_id = g.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER products_deleted AFTER DELETE ON products
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_words();

-- The newest matches within a range of places, by the index of the words.
CREATE FUNCTION rare_matches(query tsquery, lower bigint, upper bigint, most bigint)
RETURNS TABLE (product_id uuid, place bigint, rank real)
-- Which indexes serve depends on how long the range is.
LANGUAGE plpgsql STABLE ROWS 60 SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    SELECT m.product_id, m.place, ts_rank(m.search, query)
    FROM (SELECT w.product_id, w.place, w.search FROM products.product_words w
          WHERE w.search @@ query AND w.status = 'active' AND w.place >= lower AND w.place < upper
          -- Not in the order of an index, which would be read to its end for a word that no product has.
          ORDER BY w.place + 0 DESC LIMIT most) m;
END
$$;

-- How many of so many products have the words, which are taken evenly from a range of places.
CREATE FUNCTION scattered_matches(query tsquery, lower bigint, upper bigint, looks bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT count(*) FROM products.product_words w
            WHERE w.place = ANY (ARRAY(SELECT lower + (upper - lower) * i / looks FROM generate_series(0, looks - 1) i))
              AND w.search @@ query AND w.status = 'active');
END
$$;

-- Whether any product has the words, which the index of the words knows by itself.
CREATE FUNCTION has_match(query tsquery) RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM products.product_words w WHERE w.search @@ query);
END
$$;

-- The newest matches among active products, below a place if one is given: so many, and in a shop of up to 5,000
-- products a thousand. In a larger one it judges by the newest 500 products how far to look, and how: a common word is
-- found on the way from the newest on, a rare one by the index of the words. Either alone would take the longer the more
-- products there are.
CREATE FUNCTION newest_matches(query tsquery, below bigint, most integer)
RETURNS TABLE (product_id uuid, place bigint, rank real)
LANGUAGE plpgsql STABLE ROWS 60 AS $$
DECLARE
    -- Below this nothing has been found yet, and so much is missing.
    upper   bigint := coalesce(below, 9223372036854775807);
    missing bigint := most;
    lowest  bigint := (SELECT min(w.place) FROM products.product_words w);
    got     bigint;
    -- So many places are looked at next.
    ahead   bigint;
BEGIN
    IF (SELECT max(w.place) FROM products.product_words w) - lowest < 5000 THEN
        RETURN QUERY SELECT * FROM products.rare_matches(query, 0, upper, greatest(missing, 1000));
        RETURN;
    END IF;
    RETURN QUERY
    SELECT m.product_id, m.place, ts_rank(m.search, query)
    FROM (SELECT w.product_id, w.place, w.status, w.search FROM products.product_words w
          WHERE w.place < upper ORDER BY w.place DESC LIMIT 500) m
    WHERE m.search @@ query AND m.status = 'active' LIMIT missing;
    GET DIAGNOSTICS got = ROW_COUNT;
    missing := missing - got;
    IF missing = 0 THEN
        RETURN;
    END IF;
    upper := (SELECT w.place FROM products.product_words w
              WHERE w.place < upper ORDER BY w.place DESC OFFSET 499 LIMIT 1);
    IF got = 0 THEN
        -- The newest may be of another kind than most: what does the rest tell? A few of them show a common word, the
        -- index that there is no such word, and more of them one that is neither.
        got := 4 * products.scattered_matches(query, lowest, upper, 125);
        IF got = 0 AND NOT products.has_match(query) THEN
            RETURN;
        END IF;
        IF got = 0 THEN
            got := products.scattered_matches(query, lowest, upper, 500);
        END IF;
        IF got = 0 THEN
            RETURN QUERY SELECT * FROM products.rare_matches(query, 0, upper, missing);
            RETURN;
        END IF;
    END IF;
    -- What is missing should be within half of this.
    ahead := 2 * 500 * missing / got;
    -- The index gives got / 500 of all that are left, which lie scattered: each takes as long as ten in their order.
    IF ahead < 2 * 10 * got * (upper - lowest) / 500 THEN
        RETURN QUERY
        SELECT m.product_id, m.place, ts_rank(m.search, query)
        FROM (SELECT w.product_id, w.place, w.status, w.search FROM products.product_words w
              WHERE w.place < upper AND w.place >= upper - ahead ORDER BY w.place DESC LIMIT 1000000) m
        WHERE m.search @@ query AND m.status = 'active' LIMIT missing;
        GET DIAGNOSTICS got = ROW_COUNT;
        missing := missing - got;
        upper := upper - ahead;
    END IF;
    WHILE missing > 0 AND upper > lowest LOOP
        RETURN QUERY SELECT * FROM products.rare_matches(query, upper - ahead, upper, missing);
        GET DIAGNOSTICS got = ROW_COUNT;
        missing := missing - got;
        upper := upper - ahead;
        ahead := 10 * ahead;
    END LOOP;
END
$$;

-- As before, planned once for each connection.
CREATE OR REPLACE FUNCTION near_words(typed text[]) RETURNS TABLE (typed_word text, word text)
LANGUAGE plpgsql STABLE SET pg_trgm.similarity_threshold = 0.15 AS $$
BEGIN
    RETURN QUERY
    SELECT t.word, near.word
    FROM unnest(typed) AS t (word),
         LATERAL (
             SELECT DISTINCT w.word, similarity(w.word, t.word) AS alike
             FROM search_words w
             WHERE w.word % t.word
               AND length(w.word) BETWEEN length(t.word) - 3 AND length(t.word) + 3
             ORDER BY alike DESC
             LIMIT 200
         ) AS near;
END
$$;
