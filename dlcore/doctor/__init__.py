"""Says why a network does not learn, from what its run recorded; imports no torch.

    findings.py     what a finding is: what, where, evidence, why it matters, what to try
    record.py       everything that is known of a run or of a preset, as plain figures
    rules/          the rules, one group a file, found by discovery: pure functions from a record to findings
    diagnosis.py    all rules over one record, the likeliest cause first

What has to be measured on the network itself, before it trains, is measured by `dlcore.inspection.examination`.
"""
