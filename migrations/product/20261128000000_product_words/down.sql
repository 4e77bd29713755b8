SET LOCAL search_path = products, public;

DROP FUNCTION newest_matches(tsquery, bigint, integer);
DROP FUNCTION has_match(tsquery);
DROP FUNCTION scattered_matches(tsquery, bigint, bigint, bigint);
DROP FUNCTION rare_matches(tsquery, bigint, bigint, bigint);
CREATE OR REPLACE FUNCTION near_words(typed text[]) RETURNS TABLE (typed_word text, word text)
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
DROP TRIGGER products_deleted ON products;
DROP TRIGGER products_updated ON products;
DROP TRIGGER products_inserted ON products;
DROP FUNCTION forget_words();
DROP FUNCTION keep_words();
DROP TABLE product_words;

CREATE OR REPLACE FUNCTION plain_words(html text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(
        regexp_replace(html, '<[^>]*>|&#?[a-zA-Z0-9]+;', ' ', 'g'),
        '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')
$$;

CREATE OR REPLACE FUNCTION product_search(
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

ALTER TABLE products ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS
    (product_search(title, vendor, product_type, tags, skus, handle, description)) STORED;
CREATE INDEX products_search ON products USING gin (search) WITH (gin_pending_list_limit = 1024);

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
