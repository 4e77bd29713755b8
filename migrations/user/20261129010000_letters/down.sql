DROP TABLE users.letters;
