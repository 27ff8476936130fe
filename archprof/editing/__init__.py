"""What an edit of a network would cost: counted, and its time predicted from those of operators."""
