-- Dagster's database is made by the image; MLflow has one of its own.
create database mlflow;
