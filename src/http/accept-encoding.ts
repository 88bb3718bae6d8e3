/** Whether `Accept-Encoding` names gzip without refusing it by `q=0` (RFC 9110 section 12.5.3). */
export function acceptsGzip(field: string): boolean {
  return field.split(",").some((part) => {
    const [coding = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    return coding === "gzip" && !parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter));
  });
}
