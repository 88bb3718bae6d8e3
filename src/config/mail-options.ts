import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const LIVE = { reloadable: true } as const;

/** Signatures of mails (RFC 6376). */
export const DKIM_OPTIONS = {
  domain: optional(
    k.hostText(),
    "domain that signs every mail (DKIM), usually that of smtp.from; needs smtp.dkim.keyFile. By default the mail " +
      "server signs",
    LIVE,
  ),
  selector: option(k.hostText(), "prism", "the public key is the TXT record <selector>._domainkey.<domain>", LIVE),
  keyFile: optional(k.text(), "file with the private RSA key in PEM that signs", LIVE),
};

/** The SMTP listener of receivers. */
export const MAIL_IN_OPTIONS = {
  port: optional(
    k.integer(0, 65535),
    "SMTP port for mail to receivers, such as 2525; 0 takes a free port; without it no mail is received",
  ),
  host: option(k.address(), "127.0.0.1", "address of that port; 0.0.0.0 takes mail from other machines"),
  domain: optional(
    k.hostText(),
    "domain of the receivers' mail addresses, <token>@<domain>; by default the host of publicUrl",
  ),
  certFile: optional(k.text(), "certificate chain in PEM for STARTTLS; by default tls.certFile", LIVE),
  keyFile: optional(k.text(), "private key of that certificate in PEM", LIVE),
};
