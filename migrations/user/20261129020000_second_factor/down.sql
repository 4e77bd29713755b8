DROP TABLE users.recovery_codes;
DROP TABLE users.second_factors;
ALTER TABLE users.sessions DROP COLUMN second_factor;
ALTER TABLE users.users DROP COLUMN password_set_at;
ALTER TABLE users.users DROP COLUMN second_factor_at;
