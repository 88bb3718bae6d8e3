/** The entity tag of a version (RFC 9110 section 8.8.3). */
export function tagOf(version: number): string {
  return `"${version}"`;
}

/** Whether `If-None-Match` names the tag, by the weak comparison of RFC 9110 section 13.1.2. */
export function isAmongTags(tag: string, field: string): boolean {
  return field !== "" && tagsOf(field).some((given) => given === "*" || given === tag || given === `W/${tag}`);
}

/** Whether `If-Match` names the tag, by the strong comparison of RFC 9110 section 13.1.1. */
export function isExactlyAmongTags(tag: string, field: string): boolean {
  return tagsOf(field).some((given) => given === "*" || given === tag);
}

function tagsOf(field: string): string[] {
  return field.split(",").map((part) => part.trim());
}
