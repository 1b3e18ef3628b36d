/**
 * Certificates made by the `openssl` program, as its users make them: of every kind of key, signature, version and extension.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The names that servers have here. */
const NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/** Arguments of `openssl genpkey` for each kind of key. */
const KEYS = {
  "RSA 2048": ["RSA", "rsa_keygen_bits:2048"],
  "RSA 4096": ["RSA", "rsa_keygen_bits:4096"],
  "RSA 1024": ["RSA", "rsa_keygen_bits:1024"],
  "RSA-PSS": ["RSA-PSS", "rsa_keygen_bits:2048"],
  "P-256": ["EC", "ec_paramgen_curve:P-256"],
  "P-384": ["EC", "ec_paramgen_curve:P-384"],
  "P-521": ["EC", "ec_paramgen_curve:P-521"],
  secp256k1: ["EC", "ec_paramgen_curve:secp256k1"],
  Ed25519: ["ED25519"],
  Ed448: ["ED448"],
};

/**
 * @typedef {object} Wanted
 * @property {keyof typeof KEYS} [kind] of key
 * @property {string} [name] common name
 * @property {string[] | null} [extensions] as in a configuration file of openssl; `null` for a certificate of version 1
 * @property {string} [digest] such as "sha384"
 *
 * @typedef {{ cert: string, key: string, certFile: string, keyFile: string }} Made in PEM, and the files that hold it
 */

/**
 * Opens a folder to make certificates in.
 *
 * @returns {{ selfSigned: (wanted?: Wanted) => Made, authority: (wanted?: Wanted) => Made,
 *   issue: (issuer: Made, wanted?: Wanted) => Made, remove: () => void }}
 */
export function openCertificateFolder() {
  const dir = mkdtempSync(join(tmpdir(), "idioteque-redis-openssl-"));
  let files = 0;

  const newFile = (content) => {
    files += 1;
    const file = join(dir, `${files}.pem`);
    if (content !== undefined) writeFileSync(file, content, { mode: 0o600 });
    return file;
  };
  const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });

  function makeKey(kind) {
    const [algorithm, option] = KEYS[kind];
    const keyFile = newFile();
    openssl("genpkey", "-algorithm", algorithm, ...(option ? ["-pkeyopt", option] : []), "-out", keyFile);
    return keyFile;
  }

  function made(keyFile, certFile) {
    return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8"), keyFile, certFile };
  }

  const hash = (digest) => (digest ? [`-${digest}`] : []);

  function selfSigned({
    kind = "P-256",
    name = "test",
    digest,
    extensions = ["basicConstraints=critical,CA:TRUE", NAMES],
  } = {}) {
    const [keyFile, certFile] = [makeKey(kind), newFile()];
    const settings = newFile(
      `[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=e\n[dn]\nCN=${name}\n[e]\n${extensions.join("\n")}\n`,
    );
    openssl(
      "req",
      "-x509",
      "-new",
      "-key",
      keyFile,
      "-out",
      certFile,
      "-days",
      "2",
      "-config",
      settings,
      ...hash(digest),
    );
    return made(keyFile, certFile);
  }

  return {
    selfSigned,

    authority(wanted) {
      const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
      return selfSigned({ name: `authority ${files}`, extensions, ...wanted });
    },

    issue(issuer, { kind = "P-256", name = "test", digest, extensions = [NAMES] } = {}) {
      const [keyFile, request, certFile] = [makeKey(kind), newFile(), newFile()];
      openssl("req", "-new", "-key", keyFile, "-out", request, "-subj", `/CN=${name}`);
      const extra = extensions === null ? [] : ["-extfile", newFile(`${extensions.join("\n")}\n`)];
      const signer = ["-CA", issuer.certFile, "-CAkey", issuer.keyFile, "-set_serial", String(files)];
      openssl("x509", "-req", "-in", request, ...signer, "-out", certFile, "-days", "2", ...extra, ...hash(digest));
      return made(keyFile, certFile);
    },

    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
