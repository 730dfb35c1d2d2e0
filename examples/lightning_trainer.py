"""Train by Lightning: privaudit score --training examples/lightning_trainer.py:fit"""

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset


class Module(lightning.LightningModule):
    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.model.parameters(), lr=0.003)


def fit(model, inputs, labels, seed, device, report):
    (module := Module()).model = model  # trained in place
    order = {"shuffle": True, "generator": torch.Generator().manual_seed(seed)}  # all that is random
    members = DataLoader(TensorDataset(inputs.cpu(), labels.cpu()), batch_size=50, **order)
    lightning.Trainer(accelerator=device, devices=1, max_epochs=5, barebones=True).fit(module, members)
