/** What recipients answer to a notification: the note of an acknowledgement, and what an app last opened from it. */
export const sql = /* sql */ `
alter table notification_recipients add column acknowledgeNote text;
alter table notification_recipients add column webviewAction text check (json_valid(webviewAction));
`;
