/** `postgres://user:password@host/db` without the name and the password: a URL of a seed's environment may be shown, they may not. */
export function maskCredentials(text: string): string {
  return text.replace(/:\/\/[^\s/"@]+@/g, "://***@");
}
