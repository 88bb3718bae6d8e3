/** The time zones that the browser knows, as options. */
export const ZONES = Intl.supportedValuesOf("timeZone").map((value) => ({ value, label: value }));
