// Package audit keeps an append-only, tamper-evident trail of requests in one
// folder.
//
//	Begin → encode → queue → one write + one fdatasync for all that queued → go on
//
// The invariant: when [Log.Begin] returns an exchange, its `received` record is
// on disk, and when [Exchange.End] returns nil, its `completed` record is. What
// could not be written is an error that wraps [ErrUnavailable], and whoever gets
// one must not act. The package knows nothing of HTTP handlers, tokens, settings
// or loggers.
//
// # Files
//
//	audit_YYYYMMDD.jsonl                one record a line; the date is UTC
//	checkpoint                          the newest signed checkpoint
//	checkpoints_YYYYMMDD.txt            its history: notes, an empty line between two
//	signing.key                         what signs them, unless that is given
//	signing.key.new                     while the key is rotated
//	<file>.torn-<offset>                what a repair cut off, byte for byte
//	*.tmp                               being written; renamed when durable
//	quarantine_<time>/                  a log that was given up
//
// One folder is one log with one writer: the folder itself is locked (flock).
// Files are 0600, the folder is made 0700. A day file begins with its `day`
// record. The day of writing never goes back, even when the clock does.
//
// # Record
//
// A line is one JSON object in printable ASCII (0x20 to 0x7E), ended by one
// newline (U+000A), and at most 32 KiB long with it. There is exactly one way to
// write a record, and [Parse] takes no other:
//
//   - no white space between tokens;
//   - a string escapes `"` and `\` as `\"` and `\\` and every other character
//     outside 0x20 to 0x7E as lower-case \uXXXX (a surrogate pair above U+FFFF);
//   - a value whose bytes are no UTF-8 has U+FFFD for each byte that is not, and
//     the whole value stands in standard base64 right behind it, under the same
//     name + `_b64` (in metadata: at its place in the order of names);
//   - numbers are signed integers of 64 bits, without leading zeros;
//   - an unknown text or number is null in the always-present fields, which is
//     the only way to write the empty string there;
//   - the fields stand in the order below, the members of nested objects in byte
//     order of their names, no name twice;
//   - hashes are SHA-256 in lower-case hex.
//
// Nothing is hashed after decoding: the bytes of the line are, without the
// newline.
//
// Always present, null where unknown:
//
//	timestamp              UTC, RFC 3339, 6 decimals, `Z`: when the record was written
//	event_type             the route's name, `request` for a route without one;
//	                       `auth_failure` for our 401 and 403; `system`
//	job_id                 from the path, else from the JSON reply
//	status                 the job's status, from the JSON reply
//	user_id                who: verified
//	user_email             from the token
//	token_iat              integer seconds since 1970 (floor)
//	ip_address             the client
//	session_id             from the token
//	metadata               an object, see below
//	alcoa_attributable     `user_id (email)`, or `user_id`; when somebody
//	                       impersonates the user: `actor_id acting as user_id`
//	alcoa_contemporaneous  the timestamp again
//	alcoa_original         true; false on records derived later (interrupted)
//	v                      1
//	seq                    from 1, without a gap
//	prev_hash              hash of the line before, across files; 64 zeros at seq 1
//	log_id                 32 hex digits, random: made with the log
//	boot_id                32 hex digits, random: made at each start
//	phase                  received, completed, interrupted, refused, system
//	request_id             null on system records
//
// Left out when unknown:
//
//	received_seq           on completed and interrupted: the record that it closes
//	outcome                on completed: ok, not_forwarded, upstream_error,
//	                       timeout, client_aborted, rejected
//	reason                 of a reply that is ours, or why there is none; the kind
//	                       of a system record
//	change_reason          why the change was made, as the client says
//	actor_id               who impersonates the user
//	actor_session_id
//	client_request_id      the client's own X-Request-ID
//	http_method
//	http_host
//	http_proto
//	http_path              escaped, as sent
//	http_query             as sent, values of secrets masked
//	http_status            what the client was sent
//	upstream_status        what we received
//	duration_us            microseconds from request to outcome, rounded up
//	req_bytes, req_sha256, req_complete
//	                       the request's body as far as it was read: `…_sha256`
//	                       covers exactly `…_bytes`, `…_complete` says whether
//	                       the end was reached
//	res_bytes, res_sha256, res_complete
//	                       the upstream's reply, likewise
//	peer_ip                the TCP peer
//	token_sha256           of the whole token
//	jti, kid, azp, org_id, fva
//	                       from the token
//	user_agent
//	truncated              [{bytes,field,sha256}]: texts that were cut to fit the
//	                       line, with the length and hash of the whole
//
// Readers keep and hash fields that they do not know; a `v` that they do not know
// is an error.
//
// Metadata of requests: `token_exp` (and `token_exp_literal`,
// `token_iat_literal` where the token had a fraction), `files`
// ([{field,filename,sha256,size_bytes}] of a multipart upload, 32 at most, with
// `files_omitted` beyond; `files_incomplete` where there are parts that can't be
// told of, since the body broke off being multipart or had too many; and
// `files_ambiguous` where not all readers find the same parts, since a delimiter
// is not written as RFC 2046 has it), `fields` (path wildcards and reply fields
// that have no field of their own).
//
// Of a list in metadata that is too long for its line the first elements stand,
// and the list's name + `_omitted` counts the others.
//
// No token is ever in a record: whatever looks like a compact JWS or JWE, in any
// text, is written as `[token]`.
//
// # Phases
//
// A forwarded request has two records: `received`, durable before the upstream is
// dialled, says what was asked; `completed`, durable before the end of the reply
// leaves, repeats the always-present fields, method and path and says what came
// of it. Each `received` is closed by exactly one `completed`, or by one
// `interrupted` that the next start writes for a run that died. A request that we
// answer alone has one `refused` record, for which nobody waits; beyond 100 a
// second of those with a verified user, and 100 of those without, refusals are
// counted and written once a second as a `refused` record with the reason
// `summary` and the metadata `counts` (by reason), `from`, `to`, `top_ips`
// ([{count,ip}]).
//
// System records name their kind in reason:
//
//	day             first of a day file: file_before, the seqs of the requests
//	                that are `open`, tree_size (lines before), the verifier_key
//	                in force; `part` of `parts` when the seqs need more than one
//	                record
//	open            the same without file_before and verifier_key, after every
//	                1 MiB of lines: what start must know of a long day
//	start           version, settings digest, key ids, or the command that wrote;
//	                `unsigned`: how many lines before it no checkpoint covered
//	stop            the last of a run that ended well
//	keys_changed    added, removed key ids
//	clock_step      the clock was set: expected, found, step_us
//	recovery        what start cut: file, offset, cut_bytes, sha256, evidence, cause
//	fault           the trail could not be written for a while: cause
//	reply_withheld  the outcome with this `seq` came too late; the client got an
//	                error or a cut reply
//	key_rotated     the signing key changes: verifier keys from and to
//	quarantine      a log was given up: its folder, log_id, tree_size, root and
//	                time of its newest checkpoint, cause, why; earlier_<n>: folders
//	                of those before it
//
// # Checkpoints
//
// The lines of all day files are the leaves of an RFC 6962 Merkle tree: leaf i is
// SHA-256(0x00 || line of seq i+1), a node is SHA-256(0x01 || left || right). A
// [Checkpoint] is a signed statement of its size and root, a signed note
// (golang.org/x/mod/sumdb/note, Ed25519) under the name tollbook/<log_id>. It
// holds the tree's right edge too, so that start and a verification that begins
// in the middle need nothing from before.
//
// `checkpoint` is replaced at most once a second while records come, always after
// the lines that it covers are durable. Once a minute, idle or not, at the end of
// a day and at stop it is also appended to the day's history, and handed to
// [Config].OnCheckpoint. A log begins with a checkpoint of size 0, which is
// written before any record: there are never records without a checkpoint. The
// history never knows of more lines than `checkpoint`.
//
// A key hands over to the next ([RotateKey]) by a checkpoint that both have
// signed, behind a key_rotated record that names both. Start takes no such record
// from the lines that it is about to sign, and no new key that the old one has not
// vouched for. A key that is named
// `tollbook` may sign for any log that it is given to; what it signs stands under
// the log's own name.
//
// # Start
//
// Start reads `checkpoint` (signature, edge against root), the lines back to the
// newest `day`, `open` or `start` record, which tell what is open, and the lines
// behind the checkpoint; of requests that were opened earlier it looks up the
// line by halves. So it takes the same time whatever the size of the trail.
//
// Behind the checkpoint, bytes that are no line are what a crash leaves: from the
// first of them to the end (8 MiB at the most) they are kept in a file of their
// own and cut. What is kept after an unclean stop is written again in place and
// fsynced: after a failed fsync the kernel calls pages clean that never reached
// the disk. A line that does not follow from the one before, and anything wrong
// before the checkpoint that start sees, is damage, and start is refused: see
// [Quarantine]. Damage elsewhere is [Verify]'s to find.
//
// Days that are over may be moved away whole, oldest first, with their
// checkpoints file.
//
// # Faults
//
// No room (ENOSPC, EDQUOT, a short write): the file is cut back to its last good
// line, records are refused, and once a second it is tried again; with
// [Config].MinFree requests are refused before there is none, and what they have
// begun can still be closed. Any other error of a write, any error of an fsync, a
// file that was removed, replaced, cut or appended to by another, and a folder
// that was moved end the log for the life of the process: see [Log.Failed]. A
// second fsync would succeed and lie.
//
// A disk that hangs is waited for [Config].MaxWait. Who gives up withdraws a
// record that is not yet being written; of one that is, the next record says that
// nothing came of it.
//
// # What is not promised
//
// The chain alone protects neither its own end nor against somebody who rewrites
// all of it; signed checkpoints do, as far as the key is out of that somebody's
// reach and a checkpoint, or the verifier key, is known from elsewhere. Whoever is
// root where the key lies can sign anything from then on, but not change what an
// earlier checkpoint that was kept elsewhere covers. The lines behind the newest
// checkpoint, those of the last second, are chained and not yet signed.
//
// The lines behind the newest checkpoint are nobody's word yet: whoever can write the
// folder while no process has it open can write there, or put an older checkpoint
// back and go on from that, and the next start signs what it finds. Its `start`
// record says how many lines those were. Only a checkpoint that was kept elsewhere
// shows that others stood there: what lies before the newest of those can't be
// changed unseen.
//
// In durability OS a power cut may cost the last second, or the last 4 MiB; [Verify]
// tells that the run was cut off, and not what was lost.
package audit
