"""What can be measured on a network before it trains; figures only, judged by the rules of `dlcore.doctor`.

first_batch.py   one batch through the network: loss, output, gradients, inputs
independence.py  does a sample's answer depend on the other samples, or on chance?
one_batch.py     can it learn one batch by heart?
duplicates.py    are the same rows in several parts of the data?
derivatives.py   are the gradients those of the function?
"""
