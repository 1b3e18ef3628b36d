/**
 * Certificates made on the spot: an authority, and what it signs. X.509 is written by hand, as Node can sign but has no
 * way to make certificates: https://www.rfc-editor.org/rfc/rfc5280#section-4.1
 *
 * One kind of certificate is needed, which takes a page of DER. `@peculiar/x509` could write it too, but is some twenty
 * packages and, because it signs through WebCrypto, asynchronous.
 */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

const DAY_MS = 86_400_000;

const OID = {
  commonName: "0603550403",
  ecdsaWithSha256: "06082a8648ce3d040302",
  basicConstraints: "0603551d13",
  subjectAltName: "0603551d11",
};

/**
 * @typedef {object} Certificate
 * @property {string} cert in PEM
 * @property {string} key in PEM
 *
 * @typedef {Certificate & { issue: (options?: Wanted) => Certificate }} Authority
 *
 * @typedef {object} Wanted
 * @property {string} [name] common name
 * @property {string[]} [names] host names and IP addresses it is for
 * @property {Date} [notBefore] default: yesterday
 * @property {Date} [notAfter] default: tomorrow
 */

/**
 * A new authority, trusted nowhere yet.
 *
 * @param {string} [name]
 * @param {Omit<Wanted, "name">} [wanted] of its own certificate
 * @returns {Authority}
 */
export function createAuthority(name = "test authority", wanted = {}) {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const given = { name, issuer: name, subjectKeys: keys, issuerKey: keys.privateKey, authority: true };
  const own = certificate({ ...given, ...wanted });
  return {
    ...own,
    issue({ name: subject = "test", ...wanted } = {}) {
      const subjectKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return certificate({ name: subject, issuer: name, subjectKeys, issuerKey: keys.privateKey, ...wanted });
    },
  };
}

function certificate({ name, issuer, subjectKeys, issuerKey, authority = false, names = [], notBefore, notAfter }) {
  const now = Date.now();
  const algorithm = sequence(hex(OID.ecdsaWithSha256));
  const extensions = [
    sequence(hex(OID.basicConstraints), boolean(true), octets(sequence(...(authority ? [boolean(true)] : [])))),
  ];
  if (names.length > 0) extensions.push(sequence(hex(OID.subjectAltName), octets(sequence(...names.map(generalName)))));
  const content = sequence(
    value(0xa0, value(0x02, Buffer.from([2]))),
    // Positive, and without a leading zero.
    value(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    distinguishedName(issuer),
    sequence(time(notBefore ?? new Date(now - DAY_MS)), time(notAfter ?? new Date(now + DAY_MS))),
    distinguishedName(name),
    subjectKeys.publicKey.export({ type: "spki", format: "der" }),
    value(0xa3, sequence(...extensions)),
  );
  const der = sequence(content, algorithm, bits(sign("sha256", content, issuerKey)));
  const lines = der.toString("base64").match(/.{1,64}/g);
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: subjectKeys.privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

/** Tag, length, content: https://www.itu.int/rec/T-REC-X.690 */
function value(tag, ...contents) {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const hex = (digits) => Buffer.from(digits, "hex");
const sequence = (...contents) => value(0x30, ...contents);
const boolean = (flag) => value(0x01, Buffer.from([flag ? 0xff : 0]));
const octets = (content) => value(0x04, content);
const bits = (content) => value(0x03, Buffer.from([0]), content);

function distinguishedName(name) {
  return sequence(value(0x31, sequence(hex(OID.commonName), value(0x0c, Buffer.from(name)))));
}

function generalName(name) {
  if (isIP(name) === 4) return value(0x87, Buffer.from(name.split(".").map(Number)));
  return value(0x82, Buffer.from(name));
}

function time(date) {
  return value(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+/g, "")}`));
}
