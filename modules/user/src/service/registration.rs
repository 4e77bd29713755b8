//! Making an account: by the person, or an admin from the command line.

use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{Fault, Role, UserId};
use eshopz_platform::audit::{self, Actor, Entry};
use eshopz_platform::db::{StoreError, violated_constraint};
use eshopz_platform::events::outbox;
use eshopz_user_api::UserRegistered;

use super::{Device, UserService, account_of, not_personal};
use crate::domain::{email, password};
use crate::error::UserError;
use crate::store::letters;
use crate::store::mailed_tokens::Purpose;
use crate::store::users::{self, NewUser, User};

/// Characters of a password.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 10..=128;

/// The name of an admin from the command line.
const ADMIN_NAME: &str = "Administrator";

/// What somebody registers with.
pub struct Registration {
    pub email: String,
    pub password: String,
    pub full_name: String,
}

impl UserService {
    /// Makes a customer's account and sends the letter that confirms its email.
    pub async fn register(&self, registration: Registration, device: &Device) -> Result<User, UserError> {
        self.throttles.registration_address.hit(&device.throttle_key).await?;
        not_personal("/password", &registration.password, &registration.email, &registration.full_name)?;
        let hash = self.passwords.hash(self.passwords.turn().await?, registration.password).await?;
        let new = NewUser {
            id: UserId::new().uuid(),
            email: email::normalise(&registration.email),
            email_verified_at: None,
            password_hash: hash,
            full_name: registration.full_name,
            role: Role::Customer.as_str(),
        };
        let mut conn = self.db.conn().await?;
        // Kept before domains were kept in ASCII, it is the same email all the same.
        if !registration.email.is_ascii() && account_of(&mut conn, &registration.email).await?.is_some() {
            return Err(UserError::EmailTaken);
        }
        let user = (*conn)
            .transaction(async |conn| {
                let user = create(conn, &new).await?;
                letters::ask(conn, user.id, Purpose::VerifyEmail).await?;
                Ok::<_, UserError>(user)
            })
            .await?;
        self.letters_wait.notify_one();
        metrics::counter!("eshopz_user_registrations_total", "module" => "user").increment(1);
        Ok(user)
    }

    /// Makes an admin's account, whose email counts as confirmed.
    ///
    /// # Errors
    /// 409 `email_taken`, with what to do instead; 422 for the email or the password.
    pub async fn create_admin(&self, address: &str, password: String) -> Result<UserId, Fault> {
        let address = email::normalise(address);
        check_credentials(&address, &password)?;
        not_personal("/password", &password, &address, ADMIN_NAME)?;
        let new = NewUser {
            id: UserId::new().uuid(),
            email: address,
            email_verified_at: Some(Utc::now()),
            password_hash: self.passwords.hash(self.passwords.turn().await?, password).await?,
            full_name: ADMIN_NAME.to_owned(),
            role: Role::Admin.as_str(),
        };
        let mut conn = self.db.conn().await?;
        let made = (*conn).transaction(async |conn| {
            let user = create(conn, &new).await?;
            audit::record(conn, &Entry::new("user.admin_created", "user", user.id).by(Actor::Cli)).await?;
            Ok(user)
        });
        let user = made.await.map_err(|error| match error {
            UserError::EmailTaken => Fault::conflict(
                "email_taken",
                "There is an account with this email already. Take another email, or have an admin change that \
                 account by PATCH /api/v1/users/{id} with {\"role\": \"admin\"}.",
            ),
            other => other.into(),
        })?;
        Ok(UserId::from(user.id))
    }
}

/// Writes the account and tells of it.
async fn create(conn: &mut AsyncPgConnection, new: &NewUser) -> Result<User, UserError> {
    let user = users::insert(conn, new).await.map_err(|error| match violated_constraint(&error) {
        Some("users_email") => UserError::EmailTaken,
        _ => UserError::Store(StoreError::from(error)),
    })?;
    let at: DateTime<Utc> = user.created_at;
    outbox::publish(conn, &UserRegistered { user_id: UserId::from(user.id), at }).await?;
    Ok(user)
}

/// The rules that the HTTP side has in its body, for the command line.
fn check_credentials(address: &str, password: &str) -> Result<(), Fault> {
    email::check(address).map_err(|error| Fault::field("/email", "email", error.told()))?;
    if !PASSWORD_LENGTH.contains(&password.chars().count()) {
        return Err(Fault::field("/password", "length", "must have from 10 to 128 characters"));
    }
    if password::is_too_common(password) {
        return Err(Fault::field("/password", "too_common", "is among the first that anybody would try"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_credentials;

    #[test]
    fn an_admin_needs_an_email_and_a_good_password() {
        assert!(check_credentials("root@example.com", "correct horse battery").is_ok());
        for (email, password) in
            [("root", "correct horse battery"), ("root@example.com", "short"), ("root@example.com", "Password123")]
        {
            assert!(check_credentials(email, password).is_err(), "{email} {password}");
        }
    }
}
