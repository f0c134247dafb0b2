from moontune.cli.dispatch import main as main
