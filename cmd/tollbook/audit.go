package main

type auditCommands struct {
	Verify     verifyCommand     `cmd:"" help:"Check format, numbering, chain, closure and signatures of the trail."`
	Query      queryCommand      `cmd:"" help:"Print the records that are looked for; times are UTC."`
	Export     exportCommand     `cmd:"" help:"Write records to a file, as JSON lines, CSV, or a zip with proofs."`
	Tail       tailCommand       `cmd:"" help:"Print the last records, then new ones as they come; times are UTC."`
	Key        keyCommand        `cmd:"" help:"Print the verifier key of the trail, or make a signing key."`
	Prove      proveCommand      `cmd:"" help:"Prove that a record is in the trail, or check such a proof."`
	Quarantine quarantineCommand `cmd:"" help:"Give up a trail that a start refuses, and begin another."`
	RotateKey  rotateKeyCommand  `cmd:"" name:"rotate-key" help:"Replace the signing key; tollbook must be stopped."`
}
