//! What is read of an X.509 certificate besides what webpki reads: who may issue with it, for how long, and the common name.
//! Certificates are read with bounds and without allocation: a server's are not trusted yet.
//! <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// Object identifiers, as their contents are encoded.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// Bits of the key usage, as the first byte has them.
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const KEY_AGREEMENT: u8 = 0x08;
const CERTIFICATE_SIGNING: u8 = 0x04;

/// A certificate, as far as it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct X509<'a> {
    /// Whether it is of version 3, the only one that has extensions.
    pub has_extensions: bool,
    /// What its issuer has signed.
    pub signed: &'a [u8],
    /// The signature's algorithm, without its tag.
    pub algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The key and its kind.
    pub public_key: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// The last common name of the subject.
    pub common_name: Option<&'a str>,
    /// `CA` of the basic constraints, where there are any.
    authority: Option<bool>,
    /// How many intermediate certificates there may be below it.
    pub path_len: Option<u64>,
    key_usage: Option<u8>,
    /// Whether the extended key usage, where there is any, includes servers.
    for_servers: Option<bool>,
    /// Whether it names hosts in the subjectAltName.
    pub names_hosts: bool,
    /// Whether it constrains the names of what is issued below it.
    pub constrains_names: bool,
    /// Whether something in it must not be ignored and is not known here.
    unknown_critical: bool,
}

impl<'a> X509<'a> {
    /// Reads a certificate; `None` when it is malformed.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(Der(der).only(SEQUENCE)?);
        let signed = outer.raw()?;
        let algorithm = outer.take(SEQUENCE)?;
        let [0, signature @ ..] = outer.take(BIT_STRING)? else { return None };
        let mut fields = Der(Der(signed).only(SEQUENCE)?);
        let version = match fields.take_if(VERSION)? {
            Some(version) => Der(version).only(INTEGER)?,
            None => &[0],
        };
        fields.take(INTEGER)?;
        if fields.take(SEQUENCE)? != algorithm {
            return None;
        }
        let issuer = fields.take(SEQUENCE)?;
        let mut validity = Der(fields.take(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
        let subject = fields.take(SEQUENCE)?;
        let public_key = fields.raw()?;
        let mut read = X509 {
            has_extensions: *version == [2],
            signed,
            algorithm,
            signature,
            public_key,
            issuer,
            subject,
            not_before,
            not_after,
            common_name: common_name(subject)?,
            ..Self::default()
        };
        while !fields.is_empty() {
            if let (EXTENSIONS, content) = fields.any()? {
                read.read_extensions(Der(Der(content).only(SEQUENCE)?))?;
            }
        }
        Some(read)
    }

    /// The issuer's name, without its tag.
    pub fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether OpenSSL takes it for an authority: <https://github.com/openssl/openssl/blob/openssl-3.0/crypto/x509/v3_purp.c>
    /// (`check_ca`).
    pub fn may_issue(&self) -> bool {
        if self.unknown_critical || self.key_usage.is_some_and(|usage| usage & CERTIFICATE_SIGNING == 0) {
            return false;
        }
        match self.authority {
            Some(authority) => authority,
            // Version 1 has no way to say it.
            None => self.key_usage.is_some() || (!self.has_extensions && self.is_self_issued()),
        }
    }

    /// Whether a server may present it, by its own words.
    pub fn may_serve(&self) -> bool {
        let usage = DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT;
        !self.unknown_critical
            && self.key_usage.is_none_or(|present| present & usage != 0)
            && self.for_servers.unwrap_or(true)
    }

    fn read_extensions(&mut self, mut list: Der<'a>) -> Option<()> {
        while !list.is_empty() {
            let mut extension = Der(list.take(SEQUENCE)?);
            let id = extension.take(OBJECT_ID)?;
            let critical = extension.take_if(BOOLEAN)?.is_some_and(|flag| *flag != [0]);
            let mut content = Der(extension.take(OCTET_STRING)?);
            match id {
                BASIC_CONSTRAINTS => {
                    let mut constraints = Der(content.take(SEQUENCE)?);
                    self.authority = Some(constraints.take_if(BOOLEAN)?.is_some_and(|flag| *flag != [0]));
                    self.path_len = match constraints.take_if(INTEGER)? {
                        Some(digits) if digits.len() <= 8 => {
                            Some(digits.iter().fold(0, |sum, digit| (sum << 8) | u64::from(*digit)))
                        }
                        _ => None,
                    };
                }
                // Behind the number of bits that are not used.
                KEY_USAGE => self.key_usage = Some(content.take(BIT_STRING)?.get(1).copied().unwrap_or(0)),
                EXTENDED_KEY_USAGE => {
                    let mut usages = Der(content.take(SEQUENCE)?);
                    let mut found = false;
                    while !usages.is_empty() {
                        found |= matches!(usages.take(OBJECT_ID)?, SERVER_AUTH | ANY_USAGE);
                    }
                    self.for_servers = Some(found);
                }
                SUBJECT_ALT_NAME => {
                    let mut names = Der(content.take(SEQUENCE)?);
                    while !names.is_empty() {
                        self.names_hosts |= names.any()?.0 == DNS_NAME;
                    }
                }
                NAME_CONSTRAINTS => self.constrains_names = true,
                SUBJECT_KEY_ID | AUTHORITY_KEY_ID => {}
                _ => self.unknown_critical |= critical,
            }
        }
        Some(())
    }
}

/// The last common name in a distinguished name; the outer `None` when it is malformed.
#[allow(clippy::option_option, reason = "malformed, and no name")]
fn common_name(name: &[u8]) -> Option<Option<&str>> {
    let mut found = None;
    let mut parts = Der(name);
    while !parts.is_empty() {
        let mut attributes = Der(parts.take(SET)?);
        while !attributes.is_empty() {
            let mut attribute = Der(attributes.take(SEQUENCE)?);
            if attribute.take(OBJECT_ID)? == COMMON_NAME {
                found = str::from_utf8(attribute.any()?.1).ok();
            }
        }
    }
    Some(found)
}

/// Seconds since 1970 of a UTCTime or GeneralizedTime in the only form that RFC 5280 allows.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let (year_digits, rest) = match tag {
        UTC_TIME => text.split_at_checked(2)?,
        GENERALIZED_TIME => text.split_at_checked(4)?,
        _ => return None,
    };
    let [digits @ .., b'Z'] = rest else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let year = match number(year_digits)? {
        year if tag == GENERALIZED_TIME => year,
        year if year < 50 => 2000 + year,
        year => 1900 + year,
    };
    if digits.len() != 10 {
        return None;
    }
    let mut parts = digits.chunks(2).map(number);
    let mut part = || parts.next()?;
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    if !(1..=12).contains(&month) {
        return None;
    }
    // Days in the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// What is left of a sequence of values: <https://www.itu.int/rec/T-REC-X.690>
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value: its tag and its content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The next value with its tag and its length.
    fn raw(&mut self) -> Option<&'a [u8]> {
        let all = self.0;
        self.any()?;
        all.get(..all.len() - self.0.len())
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next value if it has this tag.
    #[allow(clippy::option_option, reason = "malformed, and another tag")]
    fn take_if(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Some(None) }
    }

    /// The one value that there is.
    fn only(mut self, tag: u8) -> Option<&'a [u8]> {
        self.take(tag).filter(|_| self.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229235959Z", Some(951_868_799)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000+0100", None),
            (UTC_TIME, "70AB01000000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (SEQUENCE, "700101000000Z", None),
            (UTC_TIME, "", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn whatever_is_cut_or_changed_is_read_within_bounds() {
        let mut der = vec![SEQUENCE, 0x82, 0x01, 0x00];
        der.resize(260, 0x30);
        for cut in 0..der.len() {
            assert_eq!(X509::read(&der[..cut]), None);
        }
        for tag in 0..=255 {
            for length in [0, 1, 0x7f, 0x80, 0x81, 0x84, 0x85, 0xff] {
                assert_eq!(X509::read(&[tag, length, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
            }
        }
    }
}
